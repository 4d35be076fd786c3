from __future__ import annotations

import builtins

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from sparring import ocr, vision
from sparring.errors import DataError, MissingExtra
from sparring.ocr import Line


def page(lines: list[str], *, grey: bool = False, turn: float = 0) -> bytes:
    image = Image.new("RGB", (480, 60 + 60 * len(lines)), "white")
    for i, line in enumerate(lines):
        ImageDraw.Draw(image).text((30, 30 + 60 * i), line, fill="black", font=ImageFont.load_default(30))
    image = image.rotate(turn, fillcolor="white", resample=Image.Resampling.BICUBIC)
    return vision.png(np.asarray(image.convert("L") if grey else image))


@pytest.mark.parametrize("settings", [{}, {"grey": True}, {"turn": 4}, {"turn": -4}])
def test_lines_are_read_in_order(settings):
    wanted = ["Lost cat, grey", "Please call Anna", "on 08452810075"]
    found = ocr.lines(page(wanted, **settings))
    assert ocr.read(page(wanted, **settings)).split("\n") == wanted
    assert all(line.score > 0.8 and len(line.box) == 4 for line in found)
    tops = [min(y for _, y in line.box) for line in found]
    assert tops == sorted(tops)


def test_the_detector_sees_red_as_red():
    """Channels in the order that the models were trained on: a swap would go unseen in black and white."""
    image = Image.new("RGB", (400, 100), (220, 30, 30))
    ImageDraw.Draw(image).text((20, 25), "Closed Monday", fill=(250, 240, 90), font=ImageFont.load_default(40))
    assert ocr.read(vision.png(np.asarray(image))) == "Closed Monday"


@pytest.mark.parametrize("shape", [(1, 1), (1, 1000), (9, 9), (1000, 12), (40, 2000), (64, 64, 3)])
def test_no_text_is_no_error(shape):
    assert ocr.read(vision.png(np.full(shape, 128, np.uint8))) == ""


def test_letters_that_were_found_one_by_one_are_one_row():
    def at(text: str, x: float, y: float) -> Line:
        return Line(text, 1.0, ((x, y), (x + 10, y), (x + 10, y + 20), (x, y + 20)))

    pieces = [at("e", 90, 8), at("f", 0, 0), at("r", 30, 3), at("now", 5, 40), at("e", 60, 6)]
    assert [[p.text for p in row] for row in ocr._rows(pieces)] == [["f", "r", "e", "e"], ["now"]]


def test_keywords_are_words_of_the_canonical_text():
    assert ocr.keywords("FR33 c.a.s.h! Call 08452810075 or see www.fast-win.com, free cash") == [
        "free", "cash", "call", "08452810075", "fast",
    ]  # fmt: skip


def test_recall_forgives_what_readers_cannot_tell_apart_and_nothing_else():
    assert ocr.recall("Claim your prize: call 100234", "C1aimyourpr|ze cal1 IOO234") == 1
    assert ocr.recall("Claim your prize today", "claim your prise") == 0.5
    assert ocr.recall("a b", "") == 1
    assert ocr.recall("Claim", "") == 0


def test_a_file_that_is_no_image_and_a_missing_package_are_said(monkeypatch):
    with pytest.raises(DataError, match="no image that can be read"):
        ocr.read(b"text")
    real = builtins.__import__

    def without(name, *rest):
        if name == "rapidocr":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"needs the package rapidocr.*pip install 'sparring\[images\]'"):
        ocr.read(page(["Notice"]), side=333)
