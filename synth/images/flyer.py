from __future__ import annotations

import colorsys
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar

import numpy as np

import sparring
from sparring import registry, vision
from sparring.custody import check_text
from sparring.errors import JobError, MissingExtra
from sparring.operators.base import WordOperator
from sparring.operators.spacing import Spacing
from sparring.protocols import Brief, Drawn
from sparring.record import BENIGN, digest
from sparring.text import payload

from . import fonts, texts
from .base import Backend, Wrap
from .warps import WARPS

TRICKS = ("none", "leet", "dotted", "spacing")
BACKGROUNDS = ("plain", "gradient", "stripes", "dots", "blotches")
SMALLEST = 20  # pixels; below that neither a person nor OCR reads surely
LARGEST = 0.13  # of the side
_LONE = re.compile(r"(?<!\S\S) (?=\S(?!\S))")  # between single letters: "f r e e" stays on one line


class Dotted(Spacing):
    """`Spacing` with marks alone: "f.r.e.e", never "f r e e"."""

    edits = WordOperator.edits


@dataclass(slots=True)
class _Page:
    """A flyer while it is drawn: the picture, its colours, and what stands where."""

    image: Any
    paper: tuple[int, ...]
    ink: tuple[int, ...]
    lines: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0  # words for which there was no room


@dataclass(kw_only=True)
class Flyer(Backend):
    """Image spam, and notices that look alike: text, phone numbers and QR codes in many fonts, colours and warps; no model.

    The text is the brief's prompt, else one that fits its label; `start` becomes a faint picture behind it. `size` is the side
    in pixels, `tricks` out of "none", "leet", "dotted" ("f.r.e.e") and "spacing"
    ("f r e e" too) how the text is spelt, `contrast` the range of ink against paper,
    `warp` how far a corner may move as a share of the side, `qr` the odds that a link or number has a code beside it.

    What stands where is in the parameters of what is drawn, under `page`: `text`, as it is `shown`, and its `lines`, each with
    the four corners of its box, (x, y) in pixels. A text in letters that no font has is not drawn, with the reason "no_font".
    """

    name: ClassVar[str] = "flyer"
    sets_text: ClassVar[bool] = True  # a prompt is not about the image: it is what stands there

    licence: str | None = "Apache-2.0"
    size: int = 480
    fonts: Sequence[str] = fonts.FAMILIES
    tricks: Sequence[str] = TRICKS
    contrast: Sequence[float] = (0.45, 1.0)
    warp: float = 0.04
    qr: float = 0.6

    def __post_init__(self) -> None:
        super().__post_init__()
        known = bool(self.tricks) and not set(self.tricks) - set(TRICKS)
        if self.size < 160 or not known or not self.fonts:
            raise JobError(
                f"flyer: expected a size of 160 or more, a font and tricks out of {', '.join(TRICKS)}; "
                f"got {self.size}, {list(self.fonts)} and {list(self.tricks)}"
            )
        if len(self.contrast) != 2 or not 0 < self.contrast[0] <= self.contrast[1] <= 1:
            raise JobError(f"flyer: expected contrast as [lowest, highest] in (0, 1], got {list(self.contrast)}")
        for family in self.fonts:
            fonts.font(family, SMALLEST)  # a missing one is said at once

    def settings(self) -> dict[str, Any]:
        return {
            "size": self.size, "fonts": list(self.fonts), "tricks": list(self.tricks), "contrast": list(self.contrast),
            "warp": self.warp, "qr": self.qr,
        }  # fmt: skip

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"revision": sparring.__version__}

    def render(self, briefs: Sequence[Brief], wrap: Wrap | None) -> list[Drawn]:
        return [self._drawn(brief) for brief in briefs]

    def _drawn(self, brief: Brief) -> Drawn:
        rng = Random(digest("flyer", brief.label, brief.prompt, brief.seed))
        text = " ".join((brief.prompt or texts.made(brief.label == BENIGN, rng)).split())
        check_text(text)
        trick = rng.choice(self.tricks)
        shown = text
        if trick != "none":
            operator = Dotted() if trick == "dotted" else registry.make("operator", trick)
            shown = operator.apply(text, strength=rng.uniform(0.4, 1), rng=rng)
        able = [family for family in self.fonts if fonts.covers(family, shown)]
        if trick in ("dotted", "spacing"):  # nobody spaces out letters that are made to touch
            able = [family for family in able if family not in fonts.SCRIPTS] or able
        if not able:
            return Drawn(None, self.recipe(brief), "no_font")
        paper, ink, contrast = self._colours(rng)
        background = rng.choice(BACKGROUNDS)
        page = _Page(self._backdrop(background, paper, ink, brief.start, rng), paper, ink)
        chosen = [rng.choice(able) for _ in range(2)]
        code = self._set(page, shown, text, chosen, rng)
        warp = rng.choice(("none", *WARPS)) if self.warp else "none"
        image, goes = WARPS[warp](page.image, self.warp, rng, paper) if warp != "none" else (page.image, lambda p: p)
        for part in [*page.lines, *([code] if code else [])]:
            part["box"] = goes(np.array(part["box"], float)).round(1).tolist()
        made = {
            "text": text, "shown": shown, "trick": trick, "lines": page.lines, "left_out": page.left_out, "qr": code,
            "fonts": chosen, "background": background, "paper": paper, "ink": ink, "contrast": round(contrast, 3), "warp": warp,
        }  # fmt: skip
        return Drawn(
            vision.png(np.asarray(image)), json.dumps(json.loads(self.recipe(brief)) | {"page": made}, ensure_ascii=False)
        )

    def _colours(self, rng: Random) -> tuple[tuple[int, ...], tuple[int, ...], float]:
        """Paper and ink, and how far apart in [0, 1]: 1 is black or white on the paper."""
        dark, contrast = rng.random() < 0.3, rng.uniform(self.contrast[0], self.contrast[1])
        hue, value = rng.random(), rng.uniform(0.05, 0.25) if dark else rng.uniform(0.85, 1)
        paper = np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0, 0.4), value)) * 255
        far = np.array(colorsys.hsv_to_rgb(rng.random(), *((0.1, 1) if dark else (0.6, 0.15)))) * 255
        ink = paper + (far - paper) * contrast
        return tuple(paper.round().astype(int).tolist()), tuple(ink.round().astype(int).tolist()), contrast

    def _backdrop(self, kind: str, paper: tuple[int, ...], ink: tuple[int, ...], start: bytes | None, rng: Random) -> Any:
        """The paper with a pattern, or with `start`, at most a seventh of the way to the ink."""
        from PIL import Image

        side = self.size
        y, x = np.mgrid[:side, :side].astype(np.float32)
        step, slant = rng.uniform(0.05, 0.15) * side, rng.uniform(-1, 1)
        pattern = {
            "plain": lambda: np.zeros((side, side), np.float32),
            "gradient": lambda: (y + slant * x) / (2 * side) + 0.25,
            "stripes": lambda: ((y + slant * x) // step % 2).astype(np.float32),
            "dots": lambda: ((x % step - step / 2) ** 2 + (y % step - step / 2) ** 2 < (step / 4) ** 2).astype(np.float32),
            "blotches": lambda: _blotches(side, rng),
        }[kind]()
        amount = (pattern * rng.uniform(0.05, 0.14))[..., None].clip(0, 0.15)
        pixels = np.array(paper, np.float32) * (1 - amount) + np.array(ink, np.float32) * amount
        if start is not None:
            photo = vision.pixels([start], size=side, channels=3)[0]
            pixels = 0.82 * pixels + 0.18 * photo
        return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))

    def _set(self, page: _Page, shown: str, text: str, families: list[str], rng: Random) -> dict[str, Any] | None:
        """Headline, the rest below, at the foot a code for what the text wants to be rung or visited."""
        side, margin = self.size, round(self.size * 0.07)
        head, rest = _split(shown)
        links = [p for p in payload(text) if p[0] not in "£$€"]
        code = _code(links[0]) if links and rng.random() < self.qr else None
        wide, top = side - 2 * margin, margin
        foot = side - margin
        found = None
        if code is not None:
            scale = max(1, round(side * 0.26 / len(code[1])))
            found = self._paste(page, code, scale, margin, rng.random() < 0.5)
            foot = int(found["box"][0][1]) - margin // 4
        middle = margin + round((foot - margin) * (0.42 if rest else 1))
        top = self._block(page, head, families[0], True, (margin, top, wide, middle - top), rng)
        if rest:
            self._block(page, rest, families[1], False, (margin, top, wide, foot - top), rng)
        return found

    def _block(
        self, page: _Page, text: str, family: str, bold: bool, box: tuple[int, int, int, int], rng: Random
    ) -> int:  # fmt: skip
        """Writes into (left, top, width, height) in the largest size that fits; returns where the next block may begin."""
        from PIL import ImageDraw

        left, top, wide, tall = box
        size = int(self.size * LARGEST)
        while True:
            font = fonts.font(family, size, bold=bold)
            ascent, descent = font.getmetrics()
            pitch = int((ascent + descent) * 1.05)
            lines, whole = _wrapped(text, font, wide)
            if (whole and len(lines) * pitch <= tall) or size <= SMALLEST:
                break
            size = max(SMALLEST, int(size * 0.88))
        room = max(1, tall // pitch)
        page.left_out += sum(len(line.split()) for line in lines[room:])
        draw, centred = ImageDraw.Draw(page.image), rng.random() < 0.5
        for line in lines[:room]:
            x = left + (wide - font.getlength(line)) / 2 if centred else left
            draw.text((x, top), line, font=font, fill=page.ink)
            x0, y0, x1, y1 = draw.textbbox((x, top), line, font=font)
            page.lines.append({"text": line, "font": family, "size": size, "box": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]})
            top += pitch
        return top + pitch // 4

    def _paste(self, page: _Page, code: tuple[str, np.ndarray], scale: int, margin: int, right: bool) -> dict[str, Any]:
        """A QR code in a lower corner, black on white with the margin of four modules that readers want."""
        from PIL import Image

        content, modules = code
        dark = np.pad(modules, 4)
        picture = Image.fromarray(np.kron(np.where(dark, 0, 255), np.ones((scale, scale))).astype(np.uint8))
        x = self.size - margin - picture.width if right else margin
        y = self.size - margin - picture.height
        page.image.paste(picture.convert("RGB"), (x, y))
        x1, y1 = x + picture.width, y + picture.height
        return {"content": content, "box": [[x, y], [x1, y], [x1, y1], [x, y1]]}


def _split(text: str) -> tuple[str, str]:
    """A headline, the first sentence if it is short, else the first words; and the rest."""
    for mark in ("! ", ". ", "? ", ": "):
        head, _, rest = text.partition(mark)
        if rest and len(head) <= 45:
            return head + mark.strip(), rest
    words = text.split(" ")
    return " ".join(words[:5]), " ".join(words[5:])


def _wrapped(text: str, font: Any, wide: float) -> tuple[list[str], bool]:
    """Lines no wider than `wide`, and whether all words stayed whole; one that is wider alone is cut."""
    lines, whole = [""], True
    for word in _LONE.sub("\u00a0", text).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= wide:
            lines[-1] = longer
            continue
        lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > wide:
                lines.append("")
                whole = False
            lines[-1] += letter
    return [line for line in lines if line], whole


def _code(link: str) -> tuple[str, np.ndarray]:
    """What a QR code for a link or a number says, and its modules, (n, n) bool, true for black."""
    try:
        import segno
    except ImportError:
        raise MissingExtra("QR codes", "segno", "images") from None
    content = f"tel:{link}" if link.isdigit() else link.rstrip(".,;!?")
    return content, np.array([list(row) for row in segno.make_qr(content, error="m").matrix], bool)


def _blotches(side: int, rng: Random) -> np.ndarray:
    """(side, side) smooth random field in [0, 1]."""
    from PIL import Image

    grid = np.random.default_rng(rng.getrandbits(64)).random((6, 6)).astype(np.float32)
    return np.asarray(Image.fromarray(grid).resize((side, side), Image.Resampling.BICUBIC)).clip(0, 1)
