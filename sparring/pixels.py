"""Images as small grey pictures: an embedder that needs no model, enough for digits, stamps and near-copies."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from .embed import unit


class Pixels:
    """`size` x `size` grey values, centred, of unit length: two images are near when they look alike at a glance.

    It knows no content. For photographs give embeddings of a model instead.
    """

    def __init__(self, *, size: int = 16):
        self.size, self.dim, self.name = size, size * size, f"pixels-{size}"

    def encode(self, images: Sequence[bytes]) -> np.ndarray:
        """(n, size * size) float32; `images` are encoded files, a transparent one stands on white."""
        out = np.zeros((len(images), self.dim), np.float32)
        for i, data in enumerate(images):
            grey = opened(data).resize((self.size, self.size))
            out[i] = np.asarray(grey, np.float32).ravel()
        return unit(out - out.mean(1, keepdims=True))


def opened(data: bytes) -> Any:
    """The first picture of an encoded file as a grey Pillow image, turned as its EXIF says."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as found:
        turned = ImageOps.exif_transpose(found)
        if "A" in turned.getbands() or "transparency" in turned.info:
            seen = Image.new("RGBA", turned.size, "white")
            seen.alpha_composite(turned.convert("RGBA"))
            turned = seen
        return turned.convert("L")


def fault(data: bytes) -> str:
    """Why a file can't be read as an image, "" where it can: damaged, of an unknown kind, or larger than is safe to open."""
    from PIL import Image, UnidentifiedImageError

    try:
        opened(data)
    except UnidentifiedImageError:
        return "no image that can be read"
    except Image.DecompressionBombError:
        return "image too large"
    except (OSError, ValueError, SyntaxError):
        return "damaged image"
    return ""
