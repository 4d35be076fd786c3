from __future__ import annotations

import numpy as np

from .base import ImageOperator


class Blur(ImageOperator):
    """Gaussian blur, at most 0.6 pixels and a hundredth of the shorter side."""

    name = "blur"
    family = "blur"
    preserves = "outlines larger than a few hundredths of the side, tone"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        from scipy.ndimage import gaussian_filter

        sigma = strength * (0.6 + min(pixels.shape[:2]) / 100)
        return gaussian_filter(pixels, (sigma, sigma, 0), mode="nearest")


class MotionBlur(ImageOperator):
    """The mean along a short line of random direction, at most a pixel and a twentieth of the shorter side long."""

    name = "motion_blur"
    family = "blur"
    preserves = "outlines larger than a twentieth of the side, tone"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        from scipy.ndimage import convolve

        length = strength * (1 + min(pixels.shape[:2]) / 20)
        angle, reach = rng.uniform(0, np.pi), int(np.ceil(length / 2))
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
        for step in np.linspace(-length / 2, length / 2, 8 * reach + 1):
            y, x = reach + step * np.sin(angle), reach + step * np.cos(angle)
            top, left = min(int(y), 2 * reach - 1), min(int(x), 2 * reach - 1)
            kernel[top : top + 2, left : left + 2] += np.outer([1 - (y - top), y - top], [1 - (x - left), x - left])
        return convolve(pixels, kernel[:, :, None] / kernel.sum(), mode="nearest")
