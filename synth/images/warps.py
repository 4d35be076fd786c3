"""Bends a page, and says where its points went."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

Points = np.ndarray  # (n, 2) float x, y
Warp = tuple[Any, Callable[[Points], Points]]  # the image, and where its points are now


def perspective(page: Any, amount: float, rng: Random, fill: tuple[int, ...]) -> Warp:
    """The page seen from a little aside: each corner moves by up to `amount` of the side."""
    from PIL import Image

    width, height = page.size
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    moved = corners + np.array([[rng.uniform(-amount, amount) * side for side in page.size] for _ in corners])
    back, there = _homography(moved, corners), _homography(corners, moved)
    bent = page.transform(
        page.size, Image.Transform.PERSPECTIVE, tuple(back.ravel()[:8]), Image.Resampling.BICUBIC, fillcolor=fill
    )
    return bent, lambda points: _through(there, points)


def wave(page: Any, amount: float, rng: Random, fill: tuple[int, ...]) -> Warp:
    """Lines that swing up and down like paper that is not flat, by up to a quarter of `amount` of the side."""
    from PIL import Image

    width, height = page.size
    reach, length, phase = amount * height / 4, rng.uniform(0.5, 1.2) * width, rng.uniform(0, 2 * np.pi)

    def lift(x: np.ndarray) -> np.ndarray:
        return reach * np.sin(2 * np.pi * x / length + phase)

    rows = (np.arange(height)[:, None] + lift(np.arange(width))[None]).round().astype(int).clip(0, height - 1)
    bent = np.asarray(page)[rows, np.arange(width)[None]]
    return Image.fromarray(bent), lambda points: np.stack([points[:, 0], points[:, 1] - lift(points[:, 0])], 1)


def _homography(source: Points, goal: Points) -> np.ndarray:
    """(3, 3) that takes four points to four others."""
    rows = []
    for (x, y), (u, v) in zip(source, goal, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    return np.append(np.linalg.solve(np.array(rows), goal.ravel()), 1).reshape(3, 3)


def _through(matrix: np.ndarray, points: Points) -> Points:
    found = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return found[:, :2] / found[:, 2:]


WARPS: dict[str, Callable[[Any, float, Random, tuple[int, ...]], Warp]] = {"perspective": perspective, "wave": wave}
