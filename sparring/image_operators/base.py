"""What an image operator promises: the same file for the same seed, its size kept unless it says so, no crash on any image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import Any, ClassVar

import numpy as np

from .. import vision


class ImageOperator(ABC):
    """A transform of images that keeps their label. Authors write `change`; files, ranges and sizes are seen to here.

    What it does depends on the seed and the size of an image alone, not on what the image shows: so real and generated,
    violating and benign images go through the same.
    """

    name: ClassVar[str]
    family: ClassVar[str]  # "blur", "noise", "tone", "digital", "geometry", "occlusion" or "upload"
    preserves: ClassVar[str]  # what stays, in words
    resizes: ClassVar[bool] = False  # the result may have another size

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in sorted(vars(self).items()) if not k.startswith("_"))
        return f"{type(self).__name__}({settings})"

    def apply(self, image: bytes, *, strength: float, rng: Random) -> bytes:
        """An encoded file, changed at `strength` in (0, 1], as a PNG file in grey or RGB. Raises `DataError` for a file that
        can't be read."""
        return vision.png(self.on_pixels(vision.decoded(image), strength=strength, rng=rng))

    def on_pixels(self, pixels: np.ndarray, *, strength: float, rng: Random) -> np.ndarray:
        """`apply` without files: (h, w, 1 or 3) uint8 to the same, for those who train on changed images."""
        if not 0 < strength <= 1:
            raise ValueError(f"{self.name}: expected a strength above 0, at most 1; got {strength}")
        changed = self.change(pixels.astype(np.float32), strength, np.random.default_rng(rng.getrandbits(64)))
        if not self.resizes and changed.shape != pixels.shape:
            raise ValueError(f"{self.name}: expected an image of shape {pixels.shape}, the operator gave {changed.shape}")
        return changed.round().clip(0, 255).astype(np.uint8)

    @abstractmethod
    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        """(h, w, c) float32 in [0, 255], changed; what leaves that range is cut off."""


def image_of(pixels: np.ndarray) -> Any:
    """(h, w, c) in [0, 255] as a Pillow image in mode L or RGB."""
    from PIL import Image

    whole = pixels.round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(whole[:, :, 0] if whole.shape[2] == 1 else whole)


def pixels_of(image: Any) -> np.ndarray:
    """A Pillow image as (h, w, 1 or 3) float32 in [0, 255]."""
    found = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"), np.float32)
    return found.reshape(*found.shape[:2], -1)


def field(height: int, width: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """(h, w) float32 smooth noise in [-1, 1], from a grid of `cells` x `cells` uniform values."""
    from PIL import Image

    grid = Image.fromarray(rng.uniform(-1, 1, (cells, cells)).astype(np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC), np.float32).clip(-1, 1)
