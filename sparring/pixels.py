"""Images as small grey pictures: an embedder that needs no model, enough for digits, stamps and near-copies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .embed import unit
from .vision import opened


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
            grey = opened(data).convert("L").resize((self.size, self.size))
            out[i] = np.asarray(grey, np.float32).ravel()
        return unit(out - out.mean(1, keepdims=True))
