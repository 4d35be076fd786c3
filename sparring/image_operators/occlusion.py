from __future__ import annotations

import numpy as np

from .base import ImageOperator


class Occlusion(ImageOperator):
    """One plain rectangle covers at most a sixteenth of the image, anywhere."""

    name = "occlusion"
    family = "occlusion"
    preserves = "all pixels outside the rectangle"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        height, width = pixels.shape[:2]
        tall, wide = (int(side * np.sqrt(strength) / 4) for side in (height, width))
        top, left = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
        tone = rng.uniform(0, 255, 3)[: pixels.shape[2]]
        pixels[top : top + tall, left : left + wide] = tone
        return pixels
