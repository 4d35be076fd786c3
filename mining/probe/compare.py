"""Two reports on the same cases: which functionalities got better or worse, by a paired test, and which cases flipped."""

from __future__ import annotations

from collections.abc import Sequence

from sparring.errors import UserError

from .report import Change, Comparison, Flip, Outcome, Report, order
from .stats import holm, mcnemar

Both = tuple[Outcome, Outcome]  # of one case: before, now


def compare(before: Report, now: Report) -> Comparison:
    """Cases are matched by id, which stands for text, label and clause. Raises `UserError` when no case is in both."""
    old = {outcome.id: outcome for outcome in before.outcomes}
    both = [(old[outcome.id], outcome) for outcome in now.outcomes if outcome.id in old]
    if not both:
        raise UserError(f"expected reports on the same cases; {before.target} and {now.target} share none")
    names = sorted({outcome.functionality for _, outcome in both}, key=order)
    groups = [[pair for pair in both if pair[1].functionality == name] for name in names]
    adjusted = holm([_p(group) for group in groups])
    return Comparison(
        before=before.target, cases=len(both),
        only_before=len(before.outcomes) - len(both), only_now=len(now.outcomes) - len(both),
        total=_change("all", both, _p(both)),
        functionalities=tuple(_change(*each) for each in zip(names, groups, adjusted, strict=True)),
        flips=tuple(_flip(a, b) for a, b in sorted(both, key=lambda pair: pair[1].passed) if a.passed != b.passed),
    )  # fmt: skip


def _p(both: Sequence[Both]) -> float:
    return mcnemar(_count(both, False), _count(both, True))


def _count(both: Sequence[Both], before: bool) -> int:
    """Cases that passed before and do not now, or the other way round."""
    return sum(a.passed == before != b.passed for a, b in both)


def _change(name: str, both: Sequence[Both], p_holm: float) -> Change:
    rates = (round(sum(pair[side].passed for pair in both) / len(both), 6) for side in (0, 1))
    return Change(
        name=name, cases=len(both), before=next(rates), now=next(rates), fixed=_count(both, False), broken=_count(both, True),
        p=_p(both), p_holm=p_holm,
    )  # fmt: skip


def _flip(before: Outcome, now: Outcome) -> Flip:
    return Flip(
        id=now.id, functionality=now.functionality, clause=now.clause or now.category, expected=now.expected,
        before=before.decided, now=now.decided, passed=now.passed,
        preview=now.preview or before.preview or "",
    )  # fmt: skip
