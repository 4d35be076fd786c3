from __future__ import annotations

import numpy as np

from .base import ImageOperator, field


class Contrast(ImageOperator):
    """Draws every value towards the image's mean: at most four fifths of the contrast go."""

    name = "contrast"
    family = "tone"
    preserves = "outlines, the mean tone"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        mean = pixels.mean((0, 1), keepdims=True)
        return mean + (pixels - mean) * (1 - 0.8 * strength)


class Brightness(ImageOperator):
    """Lighter or darker by one amount, at most a third of the range."""

    name = "brightness"
    family = "tone"
    preserves = "outlines, differences of tone that are not cut off at black or white"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        return pixels + rng.choice((-1, 1)) * strength * 85


class Fog(ImageOperator):
    """A light veil of uneven thickness, which takes at most 0.7 of the contrast."""

    name = "fog"
    family = "tone"
    preserves = "outlines"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        height, width = pixels.shape[:2]
        layers = [field(height, width, cells, rng) / cells for cells in (2, 4, 8)]
        thick = 0.55 + 0.45 * np.clip(sum(layers) / 0.5, -1, 1)
        veil = (0.7 * strength * thick)[:, :, None]
        return pixels * (1 - veil) + 235 * veil


class Colour(ImageOperator):
    """Another white balance, saturation and gamma, as cameras and filters set them; a grey image gets the gamma alone."""

    name = "colour"
    family = "tone"
    preserves = "outlines, the order of tones"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        gamma, saturation = np.exp(rng.uniform(-0.5, 0.5, 2) * strength)
        gains = np.exp(rng.uniform(-0.15, 0.15, 3) * strength)
        if pixels.shape[2] == 3:
            grey = pixels.mean(2, keepdims=True)
            pixels = (grey + (pixels - grey) * saturation) * gains
        return 255 * (pixels.clip(0, 255) / 255) ** gamma
