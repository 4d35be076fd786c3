"""The marks of the report: small inline SVG drawn by hand, coloured by the page's CSS, its numbers beside it as text.

One way for everything, and not matplotlib's: positions are percentages in x and pixels in y, so a chart fills a phone or
a wide screen while its type keeps its size; colours are CSS variables, so dark mode and print cost nothing; a chart takes
2 kB where matplotlib writes 40; and nothing is imported. Matrices are HTML tables with shaded cells: a screen reader, a
copy into a spreadsheet and a narrow screen all work. Series differ by colour, by the shape of the mark and by the dash.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

CLIP = 400  # characters of any one string that a report shows
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")  # letters to Unicode, blank to the eye
_SCALES = (0.05, 0.1, 0.2, 0.25, 0.4, 0.5, 0.75, 1.0)
_STEPS = {0.25: 5, 0.5: 5, 0.75: 3, 0.05: 5}  # of an axis of that length; 4 otherwise
_SHAPES = {
    "dot": Markup('<circle r="4.5"/>'),
    "ring": Markup('<circle r="4" class="hollow"/>'),
    "square": Markup('<rect x="-4" y="-4" width="8" height="8"/>'),
    "diamond": Markup('<path d="M0-5.5 5.5 0 0 5.5-5.5 0z"/>'),
}


def is_hidden(c: str) -> bool:
    """True of what a reader cannot see or what changes the direction of the text: controls, marks, lone surrogates."""
    return c in _BLANK or unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def readable(text: object) -> str:
    """One clipped line, in which hidden characters are spelled out as `U+202E`."""
    line = str(text)
    clipped = line[:CLIP].replace("\n", " ").replace("\t", " ").replace("\r", " ")
    return "".join(f"[U+{ord(c):04X}]" if is_hidden(c) else c for c in clipped) + ("…" if len(line) > CLIP else "")


def percent(value: float) -> str:
    """58%, 3.1%, 99.6%: a decimal where a whole number would hide the difference; 0% and 100% only when exact."""
    points = 100 * value
    if points in (0, 100):
        return f"{points:.0f}%"
    text = f"{points:.1f}" if points < 9.95 or points > 90.05 else f"{points:.0f}"
    return {"0.0": "<0.1", "100.0": ">99.9"}.get(text, text) + "%"


def count(n: float | None) -> str:
    """1,940; a dash for what was not counted."""
    return f"{n:,.1f}".removesuffix(".0") if isinstance(n, int | float) else "–"


def plural(n: int, word: str) -> str:
    return f"{count(n)} {word}{'s'[: n != 1]}"


def duration(seconds: float | None) -> str:
    """4 min 2 s."""
    if not isinstance(seconds, int | float):
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate in [0, 1] with its interval and the number of cases, where they are known."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None

    @classmethod
    def read(cls, raw: Any) -> Rate | None:
        """From `[value, low, high, n]` or a bare number; None where nothing was measured."""
        value, low, high, n = raw if isinstance(raw, list | tuple) else (raw, None, None, None)
        if not isinstance(value, int | float) or math.isnan(value):
            return None
        known = low is not None and high is not None and not math.isnan(low) and not math.isnan(high)
        return cls(float(value), low if known else None, high if known else None, None if n is None else int(n))

    @property
    def percent(self) -> str:
        return percent(self.value)

    @property
    def figure(self) -> str:
        return f"{self.value:.3f}"

    @property
    def interval(self) -> str:
        """`[49–66%]`, or nothing."""
        return "" if self.low is None or self.high is None else f"[{percent(self.low).rstrip('%')}–{percent(self.high)}]"

    def __str__(self) -> str:
        return f"{self.percent} {self.interval}".strip()

    def overlaps(self, other: Rate) -> bool:
        """True when both have an interval and the two overlap: their order is not settled."""
        if self.low is None or self.high is None or other.low is None or other.high is None:
            return False
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of an example's text: `same` as the seed, `new`, or `hidden` (characters that no reader sees)."""

    kind: Literal["same", "new", "hidden"]
    text: str


def pieces(seed: str, text: str) -> list[Piece]:
    """`text`, clipped, in runs: what stands in the seed too, what is new, and characters that nobody sees."""
    old, new = (re.findall(r"\s+|\S+", t[:CLIP]) for t in (seed, text))
    runs: list[tuple[str, bool]] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "replace" and j - i == m - k:  # word by word: show which letters
            for a, b in zip(old[i:j], new[k:m], strict=True):
                letters = difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
                runs += [(b[y:z], t != "equal") for t, _, _, y, z in letters]
        else:
            runs.append(("".join(new[k:m]), tag != "equal"))
    out: list[Piece] = []
    for run, is_new in runs:
        for c in run:
            kind: Literal["same", "new", "hidden"] = (
                "hidden" if is_hidden(c) and c not in "\n\t\r" else "new" if is_new else "same"
            )
            c = "" if kind == "hidden" else c
            if out and out[-1].kind == kind:
                out[-1] = Piece(kind, out[-1].text + c)
            else:
                out.append(Piece(kind, c))
    return out


def hidden(text: str, most: int = 4) -> list[tuple[str, int]]:
    """The commonest hidden characters of a text and how many of each: `("U+200B", 14)`."""
    found = Counter(c for c in text[:CLIP] if is_hidden(c) and c not in "\n\t\r")
    return [(f"U+{ord(c):04X}", n) for c, n in found.most_common(most)]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart; `style` is the CSS class that colours it, `labelled` prints its values at the marks."""

    name: str
    style: str
    shape: str
    values: Sequence[Rate | None]
    labelled: bool = False


def scale(rates: Iterable[Rate | None], least: float = 0.0) -> float:
    """The top of an axis from 0 that holds every value and interval."""
    top = max((r.high if r.high is not None else r.value for r in rates if r), default=1.0)
    return next((s for s in _SCALES if s >= max(top, least) - 1e-9), 1.0)


def floor(rates: Iterable[Rate | None]) -> float:
    """The foot of an axis to 1, for figures that all stand near the top."""
    least = min((r.low if r.low is not None else r.value for r in rates if r), default=0.0)
    return next(f for f in (0.95, 0.9, 0.8, 0.5, 0.0) if f <= least or f == 0.0)


def mark(shape: str) -> Markup:
    """A mark on its own, for a legend."""
    return Markup(
        '<svg class="key" width="26" height="12" viewBox="-13 -6 26 12" aria-hidden="true">'
        '<line x1="-13" x2="13" class="link"/>{}</svg>'
    ).format(_SHAPES[shape])


def line_chart(
    ident: str,
    title: str,
    description: str,
    columns: Sequence[str],
    series: Sequence[Series],
    *,
    low: float,
    high: float,
    as_percent: bool = True,
    height: int = 250,
) -> Markup:
    """Values by round: a mark, its interval and a link to the round before; the title and description are read aloud."""
    top, foot = 14.0, height - 26.0
    steps = _STEPS.get(round(high - low, 3), 4)
    ticks = [low + (high - low) * k / steps for k in range(steps + 1)]

    def y(value: float) -> float:
        return round(foot - (min(max(value, low), high) - low) / (high - low) * (foot - top), 1)

    def x(i: int) -> str:
        return f"{100 * (i + 0.65) / (len(columns) + 0.15):.2f}%"

    def name(tick: float) -> str:
        return f"{100 * tick:g}%" if as_percent else f"{tick:.3g}"

    axis = [
        Markup(
            '<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/><text class="tick" x="-8" y="{0}" dy=".32em" '
            'text-anchor="end">{1}</text>'
        ).format(y(t), name(t))
        for t in ticks
    ]
    axis += [
        Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(x(i), height - 6, c)
        for i, c in enumerate(columns)
    ]
    drawn = []
    for k, line in enumerate(series):
        parts = []
        for i, rate in enumerate(line.values):
            before = line.values[i - 1] if i else None
            if rate and before:
                parts.append(
                    Markup('<line class="link" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
                        x(i - 1), y(before.value), x(i), y(rate.value)
                    )
                )
        for i, rate in enumerate(line.values):
            if rate is None:
                continue
            if rate.low is not None and rate.high is not None:
                parts.append(
                    Markup('<line class="span" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(x(i), y(rate.low), y(rate.high))
                )
            parts.append(_at(x(i), y(rate.value), line.shape, f"{line.name}, {columns[i]}: {_told(rate, as_percent)}"))
            if line.labelled:
                parts.append(
                    Markup('<text class="value" x="{}" y="{}" dx="-8" dy=".32em" text-anchor="end">{}</text>').format(
                        x(i), y(rate.value), rate.percent if as_percent else rate.figure
                    )
                )
        shift = 9 * (k - (len(series) - 1) / 2)
        drawn.append(
            Markup('<g class="{}" transform="translate({:g} 0)">{}</g>').format(line.style, shift, Markup("").join(parts))
        )
    # The first series is the one to read: drawn last, on top.
    return Markup(
        '<svg class="chart" role="img" aria-labelledby="{0}-t {0}-d" width="100%" height="{1}">'
        '<title id="{0}-t">{2}</title><desc id="{0}-d">{3}</desc>{4}{5}</svg>'
    ).format(ident, height, title, description, Markup("").join(axis), Markup("").join(reversed(drawn)))


def interval_bar(
    rate: Rate | None, top: float, *, style: str, before: Rate | None = None, limit: float | None = None
) -> Markup:
    """One row of a dot plot from 0 to `top`: a dot with its interval, a ring where it stood before, a line at a limit.

    Hidden from screen readers: the numbers stand beside it in the table.
    """

    def x(value: float) -> str:
        return f"{100 * min(value, top) / top:.2f}%"

    parts = [Markup('<line class="grid" x1="0" x2="100%" y1="11" y2="11"/>')]
    if limit is not None and limit < top:
        parts.append(Markup('<line class="limit" x1="{0}" x2="{0}" y1="0" y2="22"/>').format(x(limit)))
    if before:
        if rate:
            parts.append(Markup('<line class="move" x1="{}" x2="{}" y1="11" y2="11"/>').format(x(before.value), x(rate.value)))
        parts.append(_at(x(before.value), 11, "ring"))
    if rate:
        if rate.low is not None and rate.high is not None:
            parts.append(Markup('<line class="span" x1="{}" x2="{}" y1="11" y2="11"/>').format(x(rate.low), x(rate.high)))
        parts.append(_at(x(rate.value), 11, "dot"))
    return _row(style, parts)


def count_bar(value: float, top: float, *, style: str) -> Markup:
    """A plain bar of a count, on a scale from 0 to `top`."""
    share = 100 * value / top if top else 0.0
    return _row(
        style,
        [
            Markup(
                '<rect class="track" x="0" y="5" width="100%" height="12" rx="2"/>'
                '<rect x="0" y="5" width="{:.2f}%" height="12" rx="2"/>'
            ).format(share)
        ],
    )


def _row(style: str, parts: Sequence[Markup]) -> Markup:
    return Markup('<svg class="row {}" width="100%" height="22" aria-hidden="true">{}</svg>').format(
        style, Markup("").join(parts)
    )


def _at(x: str, y: float, shape: str, title: str = "") -> Markup:
    said = Markup("<title>{}</title>").format(title) if title else Markup("")
    return Markup('<svg class="mark" x="{}" y="{:g}">{}{}</svg>').format(x, y, said, _SHAPES[shape])


def _told(rate: Rate, as_percent: bool) -> str:
    n = "" if rate.n is None else f", n = {rate.n:,}"
    return (str(rate) if as_percent else rate.figure) + n
