from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import JobError
from .base import ImageOperator, image_of, pixels_of
from .digital import coded, table
from .tone import Colour

Step = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


class Launder(ImageOperator):
    """What an upload goes through: screenshot, crop, overlay, colour, resize, then one or two lossy encoders.

    Each step comes with odds that grow with the strength; which ones, and how, is drawn before the image is looked at.
    `encoders` out of "libjpeg" and "mozjpeg", JPEG with the one's and the other's tables, and "webp". (OpenCV would be no
    second one: its JPEG is the same library as Pillow's, and the same pixels.) `keep_size` brings the result back to the size
    that the image had.
    """

    name = "launder"
    family = "upload"
    preserves = "what the image shows, but for a rim of a few hundredths and an overlay of a tenth of its height"
    resizes = True

    def __init__(self, *, encoders: Sequence[str] = ("libjpeg", "mozjpeg", "webp"), keep_size: bool = False):
        if not encoders or set(encoders) - ENCODERS.keys():
            raise JobError(f"launder: expected encoders out of {', '.join(ENCODERS)}; got {list(encoders)}")
        self.encoders, self.keep_size = tuple(encoders), keep_size

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        height, width = pixels.shape[:2]
        takes = rng.random(len(STEPS)) < 0.2 + 0.5 * strength
        order = rng.permutation(len(STEPS))
        again = rng.random() < strength / 2
        chosen = rng.integers(len(self.encoders), size=2)
        own = rng.spawn(len(STEPS) + 2)  # a step's draws shift no other's
        for i in order:
            if takes[i]:
                pixels = STEPS[i](pixels, strength, own[i])
        if self.keep_size and pixels.shape[:2] != (height, width):
            pixels = pixels_of(image_of(pixels).resize((width, height), _filter(rng)))
        for i in range(1 + again):
            pixels = ENCODERS[self.encoders[chosen[i]]](pixels, strength, own[len(STEPS) + i])
        return pixels


def _filter(rng: np.random.Generator) -> Any:
    from PIL.Image import Resampling

    return list(Resampling)[rng.integers(len(Resampling))]


def _resized(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    factor = np.exp(rng.uniform(-0.5, 0.4) * strength)
    image = image_of(pixels)
    return pixels_of(image.resize([max(1, round(side * factor)) for side in image.size], _filter(rng)))


def _cropped(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    height, width = pixels.shape[:2]
    top, bottom, left, right = rng.uniform(0, 0.06, 4) * strength
    return pixels[int(top * height) : height - int(bottom * height), int(left * width) : width - int(right * width)]


def _framed(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A screenshot: a bar with signs above, one below, a thin border."""
    height, width, channels = pixels.shape
    above, below, side = (rng.uniform(0.02, (0.1, 0.1, 0.03)) * strength * [height, height, width]).astype(int)
    tone, ink = rng.permutation([rng.uniform(0, 60), rng.uniform(200, 255)])
    out = np.full((height + above + below, width + 2 * side, channels), tone, np.float32)
    out[above : above + height, side : side + width] = pixels
    for place in rng.random(5):  # clock, battery and their like
        left, size = int(place * width), above // 2
        out[above // 4 : above // 4 + size, left : left + 2 * size] = ink
    return out


def _overlaid(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A name or a strip at an edge, half transparent."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = pixels.shape[:2]
    tall, opacity = int(rng.uniform(0.05, 0.1) * height), rng.uniform(0.3, 0.5 + 0.4 * strength)
    tone, at_top, left, number = rng.choice((0, 255)), rng.random() < 0.5, rng.uniform(0, 0.6), rng.integers(1000)
    mask = Image.new("L", (width, height))
    top = 0 if at_top else height - tall
    if rng.random() < 0.5 and tall >= 8:
        font = ImageFont.load_default(tall * 0.8)
        ImageDraw.Draw(mask).text((left * width, top), f"@user{number}", fill=255, font=font)
    elif tall:
        mask.paste(255, (0, top, width, top + tall))
    veil = np.asarray(mask, np.float32)[:, :, None] / 255 * opacity
    return pixels * (1 - veil) + tone * veil


def _coloured(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    return Colour().change(pixels, 0.6 * strength, rng)


def _quality(strength: float, rng: np.random.Generator) -> int:
    return round(95 - rng.uniform(0.2, 1) * 50 * strength)


def _libjpeg(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    return coded(pixels, "JPEG", quality=_quality(strength, rng), subsampling=_subsampling(rng))


def _mozjpeg(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    tables = [table(_quality(strength, rng))] * (1 if pixels.shape[2] == 1 else 2)
    return coded(pixels, "JPEG", qtables=tables, subsampling=_subsampling(rng), progressive=True)


def _webp(pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    return coded(pixels, "WEBP", quality=_quality(strength, rng), method=2)


def _subsampling(rng: np.random.Generator) -> int:
    return int(rng.choice((0, 2)))  # colours whole, or halved both ways


STEPS: tuple[Step, ...] = (_framed, _cropped, _overlaid, _coloured, _resized)
ENCODERS: dict[str, Step] = {"libjpeg": _libjpeg, "mozjpeg": _mozjpeg, "webp": _webp}
