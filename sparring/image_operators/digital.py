from __future__ import annotations

import io
from typing import Any

import numpy as np

from .base import ImageOperator, image_of, pixels_of

# The quantisation table that MozJPEG takes by default (N. Robidoux, for ImageMagick), at quality 50, by rows.
ROBIDOUX = (
    16, 16, 16, 18, 25, 37, 56, 85, 16, 17, 20, 27, 34, 40, 53, 75, 16, 20, 24, 31, 43, 62, 91, 135,
    18, 27, 31, 40, 53, 74, 106, 156, 25, 34, 43, 53, 69, 94, 131, 189, 37, 40, 62, 74, 94, 126, 169, 238,
    56, 53, 91, 106, 131, 169, 226, 311, 85, 75, 135, 156, 189, 238, 311, 418,
)  # fmt: skip


class Pixelate(ImageOperator):
    """Shrinks the image and blows it up again in square pixels, at most 2.5 times as large."""

    name = "pixelate"
    family = "digital"
    preserves = "outlines larger than a few pixels, tone"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        from PIL.Image import Resampling

        image = image_of(pixels)
        small = [max(1, round(side * (1 - 0.6 * strength))) for side in image.size]
        return pixels_of(image.resize(small, Resampling.BOX).resize(image.size, Resampling.NEAREST))


class Jpeg(ImageOperator):
    """Compressed as JPEG at a quality from 90 down to 10, and read again."""

    name = "jpeg"
    family = "digital"
    preserves = "outlines, tone"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        return coded(pixels, "JPEG", quality=round(90 - 80 * strength))


def coded(pixels: np.ndarray, format: str, **settings: Any) -> np.ndarray:
    """(h, w, c) in [0, 255] as it comes back from a file that Pillow wrote."""
    from PIL import Image

    held = io.BytesIO()
    image_of(pixels).save(held, format, **settings)
    with Image.open(held) as image:
        return pixels_of(image.convert("L") if pixels.shape[2] == 1 else image)


def table(quality: int) -> list[int]:
    """64 divisors for a quality in [1, 100], scaled from `ROBIDOUX` as libjpeg scales its own."""
    scale = 5000 / quality if quality < 50 else 200 - 2 * quality
    return [min(255, max(1, int((value * scale + 50) / 100))) for value in ROBIDOUX]
