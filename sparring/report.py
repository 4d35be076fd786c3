"""`write_report`: one run as one HTML file that opens anywhere, loads nothing and runs no script.

The page says first what the classifier misses and what to do about it, then shows the figures behind each sentence.
The sentences stand in `advice.py`. Texts are covered until a person uncovers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import page, plots, vision
from .advice import ARMS, BENIGN_LIMIT, Summary, advice, forgetting, get, keys_of, rate_of, rates_of, rejected, verdict
from .plots import Rate, Series

SHOWN_EXAMPLES = 60
PICTURE = 184  # pixels of an example's longer side


@dataclass(frozen=True, slots=True)
class Example:
    """One attacked seed as the report shows it, a text or an encoded image; scores are the target's, `judge` the audit's, all
    in [0, 1]."""

    round: int
    seed: str | bytes
    content: str | bytes
    operators: tuple[str, ...]
    score_before: float
    score_after: float
    queries: int
    split: str
    judge: float
    clause: str | None
    score_flat: float | None = None  # of what a normaliser, or an upload, makes of it


def write_report(summary: Summary, examples: Sequence[Example], path: Path) -> None:
    """Renders `summary` (the keys of summary.json; any may be missing) and `examples` into one HTML file at `path`."""
    html = page.environment().get_template("report.html.j2").render(
        s=summary, rounds=summary.get("rounds") or [], verdict=verdict(summary), advice=advice(summary),
        contents=_contents(summary, examples), charts=_charts(summary), tables=_tables(summary), limit=BENIGN_LIMIT, arms=ARMS,
        pictures=any(isinstance(e.content, bytes) for e in examples),
        examples=[_shown(e) for e in examples[:SHOWN_EXAMPLES]], n_examples=len(examples))  # fmt: skip
    page.put(html, path)


def _contents(s: Summary, examples: Sequence[Example]) -> dict[str, str]:
    """section id -> title, for what there is something to show of."""
    rounds = s.get("rounds") or []

    def any_of(*keys: str) -> bool:
        return any(r.get(key) for r in rounds for key in keys)

    present = {
        "attack": ("What gets past", any_of("asr_fresh", "valid_asr_fresh", "asr_frozen")),
        "families": ("By family", any_of("by_family")),
        "payoff": ("Payoff matrix", any(row for row in s.get("payoff") or [])),
        "examples": ("Examples", bool(examples)),
        "arms": ("Control arms", bool(s.get("arms"))),
        "benign": ("Over-blocking", any_of("fpr_benign_perturbed")),
        "clean": ("Clean quality", any_of("clean", "per_category")),
        "yield": ("Yield", any_of("generated", "rejected")),
        "costs": ("Cost", bool(s.get("costs"))),
        "coverage": ("Coverage", bool(s.get("archive"))),
        "data": ("Your data", any(s.get(k) is not None for k in ("label_issues", "near_duplicate_groups", "dataset"))),
        "judges": ("Judges", bool(s.get("judges"))),
        "rounds": ("Rounds", bool(rounds)),
        "run": ("Run", True),
    }
    return {name: title for name, (title, there) in present.items() if there}


def _charts(s: Summary) -> dict[str, Any]:
    rounds = s.get("rounds") or []
    columns = [f"round {r.get('round', i)}" if len(rounds) < 6 else str(r.get("round", i)) for i, r in enumerate(rounds)]

    def chart(ident: str, title: str, series: list[Series], **axis: Any) -> dict[str, Any]:
        def told(rate: Rate) -> str:
            return str(rate) if axis.get("as_percent", True) else rate.figure

        description = "; ".join(
            f"{x.name}: " + ", ".join(f"{c} {told(v)}" for c, v in zip(columns, x.values, strict=True) if v) for x in series
        )
        return {"series": series, "svg": plots.line_chart(ident, title, description, columns, series, **axis)}

    def line(name: str, style: str, shape: str, *keys: str, labelled: bool = False) -> Series:
        return Series(name, style, shape, [rate_of(r, *keys) for r in rounds], labelled)

    if not rounds:
        return {}
    frozen = line("frozen", "c-blue", "square", "asr_frozen")
    asr = [
        line("valid", "c-attack", "dot", "valid_asr_fresh", labelled=True),
        line("raw", "c-grey", "ring", "asr_fresh"),
        replace(frozen, values=[None, *frozen.values[1:]]),  # round 0's successes pass round 0 by their making
    ]
    clean = [
        line("F1", "c-blue", "dot", "clean", "f1", labelled=True),
        line("precision", "c-grey", "ring", "clean", "precision"),
        line("recall", "c-purple", "diamond", "clean", "recall"),
    ]
    top = max(0.5, plots.scale(v for x in asr for v in x.values))
    foot = plots.floor(v for x in clean for v in x.values)
    return {
        "attack": chart("asr", "Attack success rate by round", asr, low=0.0, high=top),
        "clean": chart("clean-plot", "Clean quality by round", clean, low=foot, high=1.0, as_percent=False, height=210),
    }


def _tables(s: Summary) -> dict[str, Any]:
    rounds = s.get("rounds") or []
    first, last = (rounds[0], rounds[-1]) if rounds else ({}, {})
    families = {name: [rate_of(r, "by_family", name) for r in rounds] for name in keys_of(r.get("by_family") for r in rounds)}
    categories = keys_of(r.get("per_category") for r in rounds)
    now, before = (rates_of(get(r, "fpr_benign_perturbed", "by_operator")) for r in (last, first))
    operators = sorted({*now, *before}, key=lambda name: -now[name].value if name in now else 1)
    return {
        "families": dict(sorted(families.items(), key=lambda row: -row[1][-1].value if row[1][-1] else 1)),
        "operators": [(name, before.get(name) if len(rounds) > 1 else None, now.get(name)) for name in operators],
        "operator_scale": plots.scale([*now.values(), *before.values()], least=0.1),
        "categories": {name: [rate_of(r, "per_category", name, "f1") for r in rounds] for name in categories},
        "reasons": rejected(s),
        "unseen": any(rate_of(r, "valid_asr_held_out") for r in rounds),
        "forgetting": forgetting(s),
        **_archive(s.get("archive") or {}),
        "challenges": keys_of(get(j, "false_positive_rates") for j in (s.get("judges") or {}).values()),
    }


def _archive(archive: dict[str, Any]) -> dict[str, Any]:
    """The archive's cells as rows by clause (and language, where there are several), columns by family."""
    cells = archive.get("cells") or []

    def values(axis: str) -> list[str]:
        return list(dict.fromkeys([*(get(archive, "axes", axis) or []), *(c.get(axis) for c in cells)]))

    found = {(c.get("clause"), c.get("language"), c.get("family")): c for c in cells}
    several = len(values("language")) > 1
    return {
        "niche_families": values("family"),
        "niches": [
            (f"{clause} ({language})" if several else clause, [found.get((clause, language, f)) for f in values("family")])
            for clause in values("clause")
            for language in values("language")
        ],
        "niche_top": max((c.get("count") or 0 for c in cells), default=0) or 1,
    }


def _shown(e: Example) -> dict[str, Any]:
    if isinstance(e.content, bytes) and isinstance(e.seed, bytes):
        return {"facts": e, "picture": vision.thumbnail(e.content, PICTURE), "origin": vision.thumbnail(e.seed, PICTURE // 2)}
    seed, text = str(e.seed), str(e.content)
    marked = {"pieces": plots.pieces(seed, text), "seed": plots.pieces(seed, seed)}
    return {"facts": e, "hidden": plots.hidden(text), "clipped": max(len(text), len(seed)) > plots.CLIP, **marked}
