"""Noise of sensors, after Hendrycks and Dietterich 2019 (https://arxiv.org/abs/1903.12261)."""

from __future__ import annotations

import numpy as np

from .base import ImageOperator


class GaussianNoise(ImageOperator):
    """Independent normal noise on every value, at most a quarter of the range in standard deviation."""

    name = "gaussian_noise"
    family = "noise"
    preserves = "outlines, the mean tone"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        return pixels + rng.standard_normal(pixels.shape, np.float32) * (strength * 64)


class ShotNoise(ImageOperator):
    """Poisson noise of few photons, 8 at the least for white: bright parts get more of it."""

    name = "shot_noise"
    family = "noise"
    preserves = "outlines, the mean tone"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        photons = 8 / strength**2
        return rng.poisson(pixels * (photons / 255)).astype(np.float32) * np.float32(255 / photons)


class ImpulseNoise(ImageOperator):
    """Single pixels turn black or white, at most one in twelve."""

    name = "impulse_noise"
    family = "noise"
    preserves = "all other pixels"

    def change(self, pixels: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
        hit = rng.random(pixels.shape[:2]) < strength / 12
        return np.where(hit[:, :, None], np.where(rng.random(pixels.shape[:2]) < 0.5, 0, 255)[:, :, None], pixels)
