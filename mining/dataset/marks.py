"""The two drawings of the mining report: a map of the embedding by verdict, and curves of what a review finds.

As in `sparring/plots.py`: inline SVG, coloured by the page's style sheet, told apart by shape and dash as well as colour.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from markupsafe import Markup

from sparring.plots import readable

POINTS = 4000  # that a map draws
WIDTH, HEIGHT, EDGE = 720, 460, 14  # of a map, in its own units
GLYPHS = {  # verdict -> path drawn from a point; sizes in units of the map
    "ok": "h0",
    "duplicate": "m-3.2-3.2h6.4v6.4h-6.4z",
    "hard": "m0-4.2l4 7h-8z",
    "ambiguous": "m0-4.6l4.6 4.6-4.6 4.6-4.6-4.6z",
    "novel": "m-4.2 0h8.4m-4.2-4.2v8.4",
    "mislabelled": "m-3.6-3.6l7.2 7.2m0-7.2l-7.2 7.2",
}  # drawn in this order: what is to be done something about lies on top
DASHES = ("c-attack", "c-blue", "c-purple", "c-green", "c-grey")  # a line's style by its place


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: `y` at `x`, both ascending in x; `low` and `high` bound it, or are empty."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def glyph(verdict: str) -> Markup:
    """A verdict's mark on its own, for a legend."""
    return Markup(
        '<svg class="spot v-{0}" width="16" height="14" viewBox="-8 -7 16 14" aria-hidden="true"><path d="M0 0{1}"/></svg>'
    ).format(verdict, GLYPHS[verdict])


def sampled(verdicts: Sequence[str], most: int = POINTS, seed: int = 0) -> list[int]:
    """At most `most` of the rows, ascending: each verdict gets an equal share, what the rare leave goes to the common."""
    rows: dict[str, list[int]] = {}
    for i, verdict in enumerate(verdicts):
        rows.setdefault(verdict, []).append(i)
    rng, chosen, left = Random(seed), [], most
    for place, found in enumerate(sorted(rows.values(), key=lambda of: (len(of), of))):
        share = min(len(found), left // (len(rows) - place))
        chosen += found if share == len(found) else rng.sample(found, share)
        left -= share
    return sorted(chosen)


def scatter(
    x: Sequence[float | None], y: Sequence[float | None], verdicts: Sequence[str], *, most: int = POINTS
) -> tuple[Markup, dict[str, int]]:
    """The map and how many points of each verdict it draws; rows without a place are left out.

    Axes are stretched to hold 99% of the points each way, so that one far row does not press the others into a corner;
    a row beyond is drawn at the edge.
    """
    placed = [
        (float(a), float(b), v)
        for a, b, v in zip(x, y, verdicts, strict=True)
        if v in GLYPHS and a is not None and b is not None and math.isfinite(a) and math.isfinite(b)
    ]
    if not placed:
        return Markup(""), {}
    across = _axis([p[0] for p in placed], EDGE, WIDTH - EDGE)
    down = _axis([p[1] for p in placed], HEIGHT - EDGE, EDGE)
    parts: dict[str, list[str]] = {verdict: [] for verdict in GLYPHS}
    for i in sampled([p[2] for p in placed], most):
        a, b, verdict = placed[i]
        parts[verdict].append(f"M{across(a):.0f} {down(b):.0f}{GLYPHS[verdict]}")
    drawn = {verdict: len(of) for verdict, of in parts.items() if of}
    told = ", ".join(f"{n} {verdict}" for verdict, n in drawn.items())
    groups = [Markup('<g class="v-{}"><path d="{}"/></g>').format(v, "".join(of)) for v, of in parts.items() if of]
    return Markup(
        '<svg class="map" role="img" aria-labelledby="map-t map-d" viewBox="0 0 {} {}"><title id="map-t">Rows in the '
        'embedding, by verdict</title><desc id="map-d">Drawn: {}. Rows that stand near each other are alike.</desc>{}</svg>'
    ).format(WIDTH, HEIGHT, told, Markup("").join(groups)), drawn


def curves(ident: str, title: str, lines: Sequence[Line | None], *, low: float = 0.0, diagonal: bool = False) -> Markup:
    """Lines with their bands over rows reviewed, styled by their place (None leaves one out).

    `diagonal` adds the line where every reviewed row is a find.
    """
    there = [line for line in lines if line]
    right = _ceiling(max((x for line in there for x in line.x), default=1))
    top = max((v for line in there for v in (*line.y, *line.high)), default=1)
    top = _ceiling(top) if top > 1 or diagonal else 1.0
    height, head, foot = 230, 10.0, 204.0

    def x(value: float) -> float:
        return round(1000 * value / right, 1)

    def y(value: float) -> float:
        return round(1000 * (1 - (min(max(value, low), top) - low) / (top - low)), 1)

    def path(xs: Sequence[float], ys: Sequence[float]) -> str:
        return " ".join(f"{x(a):g},{y(b):g}" for a, b in zip(xs, ys, strict=True))

    axis = []
    for k in range(5):
        at, value = foot - (foot - head) * k / 4, low + (top - low) * k / 4
        axis.append(
            Markup('<line class="grid" x1="0" x2="100%" y1="{0:g}" y2="{0:g}"/><text class="tick" x="-8" y="{0:g}" dy=".32em" '
                   'text-anchor="end">{1}</text>').format(at, f"{value:,.3g}" if top <= 1 else f"{value:,.0f}"))  # fmt: skip
        anchor = "end" if k == 4 else "middle" if k else "start"
        axis.append(
            Markup('<text class="tick" x="{}%" y="{}" text-anchor="{}">{}</text>').format(
                25 * k, height - 6, anchor, f"{right * k / 4:,.0f}"
            )
        )
    drawn = []
    if diagonal:
        drawn.append(
            Markup('<polyline class="diagonal" points="{}"/>').format(path((0, min(right, top)), (0, min(right, top))))
        )
    for place, line in enumerate(lines):
        if line is None:
            continue
        style, band = DASHES[place % len(DASHES)], Markup("")
        if line.low and line.high:
            around = f"{path(line.x, line.high)} {path(line.x[::-1], line.low[::-1])}"
            band = Markup('<polygon class="band" points="{}"/>').format(around)
        drawn.append(
            Markup('<g class="{}">{}<polyline class="link" points="{}"/></g>').format(style, band, path(line.x, line.y))
        )
    told = "; ".join(f"{line.name}: {line.y[-1]:.3g} after {line.x[-1]:,.0f}" for line in there if line.y)
    return Markup(
        '<svg class="chart" role="img" aria-labelledby="{0}-t {0}-d" width="100%" height="{1}"><title id="{0}-t">{2}</title>'
        '<desc id="{0}-d">{3}</desc>{4}<svg x="0" y="{5:g}" width="100%" height="{6:g}" viewBox="0 0 1000 1000" '
        'preserveAspectRatio="none">{7}</svg></svg>'
    ).format(ident, height, readable(title), readable(told), Markup("").join(axis), head, foot - head, Markup("").join(drawn))


def key(place: int) -> Markup:
    """The line of the curve at `place`, for a legend."""
    return Markup(
        '<svg class="key {}" width="26" height="12" viewBox="-13 -6 26 12" aria-hidden="true">'
        '<line x1="-13" x2="13" class="link"/></svg>'
    ).format(DASHES[place % len(DASHES)])


def _axis(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    ordered = sorted(values)
    cut = len(ordered) // 200
    low, high = ordered[cut], ordered[-1 - cut]
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return start + (end - start) * min(max((value - low) / span, -0.01), 1.01)

    return place


def _ceiling(value: float) -> float:
    """The least of 4, 8, 12, 20, 40, 60, 80, 100, 120, ... that is not below: quarters of it are whole numbers."""
    power = 10 ** max(0, math.floor(math.log10(value)) - 1) if value > 0 else 1
    return next(4 * step * power for step in (1, 2, 3, 4, 5, 10, 15, 20, 25, 50) if 4 * step * power >= value)
