"""Text in images: read by RapidOCR, whose models (PP-OCR) are inside its wheel, and compared word by word."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from . import vision
from .errors import MissingExtra
from .text import canonical

SIDE = 480  # pixels of the longer side in which text is looked for
LOWEST = 10  # pixels; no line of text stands in less
LONGEST = 40  # times as long as high: the most that the detector is shown
_ALIKE = str.maketrans("0134578@$|!lI", "oieastbasiiii")
_WORD, _NO_LETTER = re.compile(r"[^\W_]{4,}"), re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it was read; `score` in [0, 1], `box` four corners (x, y) in pixels."""

    text: str
    score: float
    box: tuple[tuple[float, float], ...]


def lines(image: bytes, *, side: int = SIDE, threads: int = 1) -> list[Line]:
    """The pieces of text in an encoded file as a person reads them, line by line; none in an image too narrow for any.

    Raises `DataError` for a file that can't be read and `MissingExtra` without rapidocr or onnxruntime.
    """
    import numpy as np

    pixels = vision.decoded(image)
    height, width, channels = pixels.shape
    if min(height, width) < LOWEST or max(height, width) > LONGEST * min(height, width):
        return []
    shown = np.repeat(pixels, 3, 2) if channels == 1 else pixels[:, :, ::-1]
    found = _engine(side, threads)(np.ascontiguousarray(shown))
    if found.txts is None:
        return []
    boxes = [tuple((float(x), float(y)) for x, y in box) for box in found.boxes]
    read = [Line(*piece) for piece in zip(found.txts, map(float, found.scores), boxes, strict=True)]
    return [piece for row in _rows(read) for piece in row]


def read(image: bytes, *, side: int = SIDE, threads: int = 1) -> str:
    """All text of an image, one line under the other."""
    return "\n".join(" ".join(piece.text for piece in row) for row in _rows(lines(image, side=side, threads=threads)))


def _rows(pieces: list[Line]) -> list[list[Line]]:
    """Pieces that stand side by side, from the left, in rows from the top: spaced-out letters are found one by one.

    A piece joins the row whose nearest piece has its middle within half a height of its own, so that slanting rows hold."""
    rows: list[list[Line]] = []
    for piece in sorted(pieces, key=lambda p: _middle(p)[0]):
        beside = [(gap, row) for row in rows if (gap := _gap(piece, row)) is not None]
        if beside:
            min(beside, key=lambda found: found[0])[1].append(piece)
        else:
            rows.append([piece])
    rows = [sorted(row, key=lambda p: _middle(p)[0]) for row in rows]
    return sorted(rows, key=lambda row: sum(_middle(p)[1] for p in row) / len(row))


def _gap(piece: Line, row: list[Line]) -> float | None:
    """How far above or below the row's end a piece stands, None where it is no continuation."""
    last, left = row[-1], min(x for x, _ in piece.box)
    off = abs(_middle(piece)[1] - _middle(last)[1])
    fits = off < 0.5 * max(_height(piece), _height(last)) and left > _middle(last)[0]
    return off if fits else None


def _middle(piece: Line) -> tuple[float, float]:
    return sum(x for x, _ in piece.box) / 4, sum(y for _, y in piece.box) / 4


def _height(piece: Line) -> float:
    return (piece.box[3][1] + piece.box[2][1] - piece.box[0][1] - piece.box[1][1]) / 2


def keywords(text: str) -> list[str]:
    """The words of four letters or digits and more, in canonical form `deobfuscate`, without case; each once, in order."""
    return list(dict.fromkeys(_WORD.findall(canonical(text, "deobfuscate").casefold())))


def alike(text: str) -> str:
    """Letters and digits alone, in canonical form `deobfuscate`, without case, and one for all that look the same: readers of
    images lose spaces and punctuation, and "1" is "I" and "l" to them."""
    return _NO_LETTER.sub("", canonical(text, "deobfuscate").casefold().translate(_ALIKE))


def recall(wanted: str, found: str) -> float:
    """The share of the keywords of `wanted` that stand in `found`, compared as `alike` makes them; 1 where there are none."""
    words, flat = keywords(wanted), alike(found)
    return sum(alike(word) in flat for word in words) / len(words) if words else 1.0


@functools.lru_cache(2)
def _engine(side: int, threads: int) -> Any:
    try:
        import onnxruntime  # noqa: F401
        from rapidocr import RapidOCR
    except ImportError:
        raise MissingExtra("reading text in images", "rapidocr, with onnxruntime", "images") from None
    return RapidOCR(
        params={
            "Global.use_cls": False,  # upside-down lines are not worth another network
            "Global.log_level": "error",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": threads,
            "Det.limit_type": "max",
            "Det.limit_side_len": side,
            "Rec.rec_batch_num": 1,  # a line is read the same whatever stands beside it, and no time goes into padding
        }
    )
