from __future__ import annotations

import numpy as np

from .base import ImageOperator, field


class Affine(ImageOperator):
    """Turned by at most 15 degrees, sheared by 0.15, scaled by a sixth and moved by a twelfth of its side; edges go on."""

    name = "affine"
    family = "geometry"
    preserves = "straight lines, tone"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        turn, shear, scale, down, right = rng.uniform(-1, 1, 5) * strength
        cos, sin = np.cos(0.26 * turn), np.sin(0.26 * turn)
        matrix = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, 0.15 * shear], [0, 1]]) * (1 + scale / 6)
        height, width = pixels.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float32)
        middle = (height - 1) / 2, (width - 1) / 2
        y, x = y - middle[0], x - middle[1]
        sources = np.tensordot(matrix.astype(np.float32), np.stack([y, x]), 1)
        return _sampled(pixels, sources[0] + middle[0] + down * height / 12, sources[1] + middle[1] + right * width / 12)


class Elastic(ImageOperator):
    """Every point moves along a smooth random field, by at most a twentieth of the shorter side."""

    name = "elastic"
    family = "geometry"
    preserves = "which parts touch, tone"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        height, width = pixels.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float32)
        reach = strength * min(height, width) / 20
        return _sampled(pixels, y + reach * field(height, width, 5, rng), x + reach * field(height, width, 5, rng))


def _sampled(pixels: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The values at (h, w) positions, linear between pixels; what lies outside is as the edge is."""
    from scipy.ndimage import map_coordinates

    return np.stack([map_coordinates(pixels[:, :, c], (y, x), order=1, mode="nearest") for c in range(pixels.shape[2])], 2)
