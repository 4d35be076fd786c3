"""`write_report`: what mining found as one HTML file that opens anywhere, loads nothing and runs no script.

The page says first what to do, then shows what stands behind each sentence. The sentences stand in `advice.py`, the cards
in `cards.py`, the drawings in `marks.py`. Texts and images are covered until a person uncovers them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sparring import page, plots
from sparring.plots import Rate, count

from ..labels.verdicts import ACTIONS
from . import marks
from .advice import SURE, advice, at, queues, verdict, worth
from .cards import Deck
from .result import Curve, MiningResult

QUEUES, WORTHS, SLICES, POINTS = 20, 6, 20, 5  # that are shown; the parquet has all
CARDS = 60  # over all queues
EACH = 6  # cards of every other part
MEANINGS = {
    "ok": "nothing speaks against it",
    "mislabelled": "its own content and what stands near it speak for another label",
    "hard": "label right, but views waver or the classifier errs",
    "novel": "far from everything labelled",
    "ambiguous": "views and neighbours disagree on what it is",
    "duplicate": "near a row that stays",
}
NOISES = {
    "symmetric": "any label wrong, at random",
    "boundary": "wrong where the classes meet",
    "missed": "violations labelled benign",
}


def write_report(
    result: MiningResult, path: Path, *, texts: Mapping[str, str] | None = None, images: Mapping[str, bytes] | None = None
) -> Path:
    """Writes the page at `path`. `texts` and `images` are by row id; without them a card shows numbers and reasons only."""
    parts = _parts(result, Deck(result, texts, images))
    environment = page.environment("mining.dataset")
    html = environment.get_template("mining.html.j2").render(
        r=result, verdict=verdict(result), advice=advice(result), contents=_contents(parts), marks=marks, actions=ACTIONS,
        meanings=MEANINGS, noise_words=NOISES, previews=bool(texts or images), **parts)  # fmt: skip
    return page.put(html, path)


def _contents(parts: Mapping[str, Any]) -> dict[str, str]:
    """section id -> title, for what there is something to show of."""
    titles = {
        "verdicts": "Verdicts", "map": "Map", "worth": "What a review is worth", "queues": "Labels in doubt",
        "hard": "Hard examples", "other": "Ambiguous and novel", "slices": "Slices", "duplicates": "Near duplicates",
        "next": "Label next", "notes": "Notes and facts",
    }  # fmt: skip
    there = {
        "verdicts": parts["verdicts"], "map": parts["drawn"], "worth": parts["worths"], "queues": parts["queues"],
        "hard": parts["hard"], "other": parts["other"], "slices": parts["slices"], "duplicates": parts["reasons"],
        "next": parts["chosen"], "notes": True,
    }  # fmt: skip
    return {name: title for name, title in titles.items() if there[name]}


def _parts(result: MiningResult, deck: Deck) -> dict[str, Any]:
    import pyarrow.compute as pc

    table = result.table
    found = result.verdicts if table.num_rows else {}
    drawing, drawn = marks.scatter(*(table[name].to_pylist() for name in ("x", "y", "verdict")))
    audit = pc.sum(pc.and_(table["audit"], pc.is_valid(table["selected_rank"]))).as_py() or 0
    return {
        "verdicts": found, "most": max(found.values(), default=0), "map": drawing, "drawn": drawn,
        "rejected": Counter(reason for _, reason in result.rejected).most_common(10), "facts": _facts(result),
        "chosen": deck.chosen(2 * EACH), "n_chosen": table.num_rows - table["selected_rank"].null_count, "n_audit": audit,
        "hard": deck.hard(EACH), "other": deck.other(EACH), **_queues(result, deck), **_worth(result), **_slices(result),
        **_duplicates(result, deck),
    }  # fmt: skip


def _queues(result: MiningResult, deck: Deck) -> dict[str, Any]:
    import pyarrow.compute as pc

    lengths = queues(result)
    order = sorted(lengths, key=lambda label: (-result.errors.get(label, 0.0), -lengths[label], label))
    if known := [w.queue for w in worth(result) if w.queue in lengths]:
        order = [*known, *(label for label in order if label not in known)]
    said = pc.equal(result.table["verdict"], "mislabelled")
    mislabelled = Counter(result.table.filter(said)["queue"].to_pylist())
    rows: list[dict[str, Any]] = [
        {"label": label, "rows": lengths[label], "mislabelled": mislabelled[label], "rest": lengths[label] - mislabelled[label],
         "wrong": count(round(result.errors[label])) if label in result.errors else None}
        for label in order
    ]  # fmt: skip
    each = max(3, min(9, CARDS // max(1, min(QUEUES, len(order)))))
    shown = [row | {"cards": deck.queue(row["label"], each, place)} for place, row in enumerate(rows[:QUEUES])]
    return {"queues": shown, "queue_table": rows[: 3 * QUEUES], "n_queues": len(rows)}


def _worth(result: MiningResult) -> dict[str, Any]:
    noises = list(dict.fromkeys([*(c.noise for c in result.worth if c.reviewed), *(n for n, (x, _) in result.f1.items() if x)]))
    known = worth(result)
    shown = []
    if any(x for x, _ in result.f1.values()):
        lines = {noise: marks.Line(noise, *result.f1[noise]) for noise in noises if noise in result.f1}
        foot = plots.floor(Rate(y) for line in lines.values() for y in line.y)
        svg = marks.curves("worth-f1", "Expected F1 after a review", _in_order(lines, noises), low=foot)
        told = "of a classifier trained on the reviewed labels"
        numbers = [
            (x, [(f"{at(*result.f1[noise], x):.3f}", "") for noise in lines]) for x in _some(x for x, _ in result.f1.values())
        ]
        shown.append({"title": "Expected F1 after a review", "told": told, "svg": svg, "noises": list(lines), "rows": numbers})
    for place, w in enumerate(known[:WORTHS]):
        of = {c.noise: c for c in result.worth if c.queue == w.queue and c.reviewed}
        lines = {noise: marks.Line(noise, c.reviewed, c.found, c.low, c.high) for noise, c in of.items()}
        title = f"Wrong labels found among rows given {w.queue}"
        svg = marks.curves(f"worth-{place}", title, _in_order(lines, noises), diagonal=True)
        told = f"first {count(w.reviewed)} rows: {w.told} wrong labels expected"
        shown.append({"title": title, "told": told, "svg": svg, "noises": list(of), "rows": _points(list(of.values()))})
    return {"worths": shown, "noises": noises, "n_worths": len(known) + (len(shown) - min(WORTHS, len(known)))}


def _in_order(lines: Mapping[str, marks.Line], noises: list[str]) -> list[marks.Line | None]:
    """A place for each noise, so that a noise has one colour and dash in every drawing."""
    return [lines.get(noise) for noise in noises]


def _points(of: list[Curve]) -> list[tuple[int, list[tuple[str, str]]]]:
    """Some points of the curves as numbers: (rows reviewed, a figure and its interval by noise); the last among them."""

    def told(c: Curve, x: int) -> tuple[str, str]:
        bounds = [f"{at(c.reviewed, bound, x):,.0f}" for bound in (c.low, c.high) if bound]
        return f"{at(c.reviewed, c.found, x):,.0f}", f"[{'–'.join(bounds)}]" if bounds else ""

    return [(x, [told(c, x) for c in of]) for x in _some(c.reviewed for c in of)]


def _some(curves: Iterable[tuple[int, ...]]) -> list[int]:
    """A few of the points of several curves, evenly; the last among them."""
    points = sorted({x for curve in curves for x in curve})
    return points[:: -max(1, -(-len(points) // POINTS))][::-1]


def _slices(result: MiningResult) -> dict[str, Any]:
    surest = sorted(result.slices, key=lambda s: (s.p >= SURE, -(s.error - s.rest) * s.rows, s.name))[:SLICES]
    told = [(s, Rate(s.error, s.low, s.high, s.rows), Rate(s.rest)) for s in surest]
    return {"slices": told, "slice_top": plots.scale([rate for _, *both in told for rate in both], least=0.1)}


def _duplicates(result: MiningResult, deck: Deck) -> dict[str, Any]:
    reasons = [
        (kind, why, n)
        for kind, column in (("removed", "why_removed"), ("stays", "why_spared"))
        for why, n in Counter(w for w in result.table[column].to_pylist() if w is not None).most_common(10)
    ]
    return {"reasons": reasons, "most_reason": max((n for *_, n in reasons), default=0), "pairs": deck.pairs(EACH)}


def _facts(result: MiningResult) -> list[tuple[str, Any]]:
    def told(value: Any) -> Any:
        if isinstance(value, Mapping):
            return ", ".join(f"{name} {told(inner)}" for name, inner in value.items())
        if isinstance(value, list | tuple | set):
            return ", ".join(str(told(inner)) for inner in value)
        if isinstance(value, bool):
            return "yes" if value else "no"
        return count(value) if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else value

    return [(str(name).replace("_", " "), told(value)) for name, value in result.facts.items() if value is not None]
