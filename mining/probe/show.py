"""A report as a terminal shows it; no text of a case, only its first letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from .report import ABOUT, Change, Comparison, Group, Outcome, Report, Skipped

MOST = 10  # failing cases, flips and clauses that are listed
EACH = 2
WIDTH = 110


def render(report: Report) -> Iterator[Any]:
    """Tables and lines for a rich console."""
    from rich.constrain import Constrain
    from rich.table import Table

    yield from (Constrain(each, WIDTH) if isinstance(each, Table) else each for each in _parts(report))


def _parts(report: Report) -> Iterator[Any]:
    cases, passed = len(report.outcomes), sum(outcome.passed for outcome in report.outcomes)
    yield _heading(f"{report.target}: {passed} of {cases} cases of {report.policy} {report.policy_version} pass")
    yield _functionalities(report)
    yield from _by("clause", report.clauses)
    yield from _by("language", report.languages)
    if said := list(_said(report)):
        yield _notes(said)
    if report.against:
        yield from _comparison(report.against)
    elif failing := [outcome for outcome in report.outcomes if not outcome.passed]:
        yield _failing(failing, report.threshold)


def _said(report: Report) -> Iterator[tuple[str, str]]:
    """A word and a sentence, a line each."""
    if report.pairs:
        n, only = report.pairs.consistent[3], (report.pairs.only_violating, report.pairs.only_benign, report.pairs.neither)
        sides = "only on the violating side {}, only on the benign {}, on neither {}".format(*only)
        yield "pairs", f"{_rate(report.pairs.consistent)} of {n} right on both sides; {sides}"
    if report.other_category:
        yield "labels", f"{report.other_category} violating cases were caught under another category"
    if not any(group.benign for group in report.functionalities):
        said = "no case is benign: a target that flags everything passes; add `uses` and benign texts"
        yield "note", f"{said}, to the policy or in a --cases file"
    alike: dict[tuple[str, tuple[str, ...]], list[Skipped]] = {}
    for skip in report.skipped:
        alike.setdefault((skip.reason, skip.categories), []).append(skip)
    for (reason, categories), skips in alike.items():
        names = ", ".join(categories[:3]) + (f" and {len(categories) - 3} more" if len(categories) > 3 else "")
        total, what = sum(skip.cases for skip in skips), ", ".join(skip.functionality for skip in skips)
        yield "skipped", f"{total} of {what} ({names}): {reason}"


def _notes(lines: list[tuple[str, str]]) -> Any:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for line in lines:
        grid.add_row(*line)
    return grid


def _functionalities(report: Report) -> Any:
    table = _table(wide=True)
    for column, justify in (("functionality", "left"), ("should be", "left"), ("passed", "right"), ("share, 95%", "right")):
        table.add_column(column, justify=justify, no_wrap=True)
    table.add_column("the case", ratio=1, overflow="ellipsis", no_wrap=True)
    for group in report.functionalities:
        about = ABOUT.get(group.name) or (ABOUT["spelling"] if group.name.startswith("spelling_") else "a case of your own")
        table.add_row(group.name, group.expected, _count(group.pass_rate), _rate(group.pass_rate), about)
    return table


def _by(what: str, groups: Sequence[Group]) -> Iterator[Any]:
    """The worst clauses or languages; nothing where there is only one."""
    if len(groups) < 2:
        return
    worst = sorted(groups, key=lambda group: group.pass_rate[0])[:MOST]
    shown = [group for group in groups if group in worst]
    left = len(groups) - len(shown)
    table = _table(f"by {what}, the {len(shown)} worst of {len(groups)}" if left else f"by {what}")
    table.add_column(what, overflow="ellipsis", no_wrap=True)
    for column in ("violating passed", "share, 95%", "benign passed", "share, 95%"):
        table.add_column(column, justify="right", no_wrap=True)
    for group in shown:
        sides = [(_count(side), _rate(side)) if side else ("", "") for side in (group.violating, group.benign)]
        table.add_row(group.name, *sides[0], *sides[1])
    yield table


def _failing(failing: list[Outcome], threshold: float) -> Any:
    """The surest mistakes, at most `EACH` of a functionality, so that one does not hide the others."""
    seen: Counter[str] = Counter()
    surest: list[Outcome] = []
    for outcome in sorted(failing, key=lambda outcome: -abs(outcome.score - threshold)):
        seen[outcome.functionality] += 1
        if seen[outcome.functionality] <= EACH and len(surest) < MOST:
            surest.append(outcome)
    title = f"{len(failing)} failing cases, the surest mistakes at threshold {threshold:.3f}, at most {EACH} of a functionality"
    table = _table(title, wide=True)
    for column in ("id", "functionality", "decided", "score"):
        table.add_column(column, no_wrap=True)
    table.add_column("text, masked", ratio=1, overflow="ellipsis", no_wrap=True)
    for outcome in surest:
        table.add_row(outcome.id[:10], outcome.functionality, outcome.decided, f"{outcome.score:.3f}", outcome.preview)
    return table


def _comparison(found: Comparison) -> Iterator[Any]:
    yield _heading(f"against {found.before}: {found.cases} cases in both")
    table = _table()
    table.add_column("functionality", no_wrap=True)
    for column in ("before", "now", "fixed", "broken", "p, Holm"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for change in (*(c for c in found.functionalities if c.fixed or c.broken), found.total):
        table.add_row(
            change.name, f"{change.before:.2f}", f"{change.now:.2f}", str(change.fixed), str(change.broken),
            f"{change.p_holm:.3g}", _verdict(change),
        )  # fmt: skip
    yield table
    if found.only_before or found.only_now:
        said = f"{found.only_before} cases stand only in the earlier report, {found.only_now} only in this one"
        yield _notes([("note", said)])
    if broken := [flip for flip in found.flips if not flip.passed]:
        table = _table(f"{len(broken)} cases that passed before, the first {min(MOST, len(broken))}", wide=True)
        for column in ("id", "functionality", "decided"):
            table.add_column(column, no_wrap=True)
        table.add_column("text, masked", ratio=1, overflow="ellipsis", no_wrap=True)
        for flip in broken[:MOST]:
            table.add_row(flip.id[:10], flip.functionality, flip.now, flip.preview)
        yield table


def _verdict(change: Change) -> str:
    if change.p_holm >= 0.05:
        return ""
    return "better" if change.fixed > change.broken else "worse"


def _table(title: str | None = None, *, wide: bool = False) -> Any:
    """`wide`: the column with a ratio takes what the others leave, and is cut."""
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, expand=wide)


def _heading(text: str) -> Any:
    """A line that names a path: left as long as it is, so that it can be copied."""
    from rich.text import Text

    return Text(text, style="italic", no_wrap=True, overflow="ignore")


def _rate(figure: Any) -> str:
    return f"{figure[0]:.2f} [{figure[1]:.2f}-{figure[2]:.2f}]"


def _count(figure: Any) -> str:
    return f"{round(figure[0] * figure[3])}/{int(figure[3])}"
