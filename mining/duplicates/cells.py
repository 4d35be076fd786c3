"""Cells of a space, and which rows have to visit a neighbour's cell to meet their near duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

PER_CELL = 48  # sample rows a centroid is made of
ROUNDS = 6
_STEP = 4096  # rows at a time: their scores stay in the processor's cache


@dataclass(frozen=True, slots=True)
class Cells:
    """`regions` (g, m) centroids; `centroids` (k, m), those of region r from `start[r]` to `start[r + 1]`."""

    regions: np.ndarray
    centroids: np.ndarray
    start: np.ndarray


@dataclass(frozen=True, slots=True)
class Routes:
    """`home` (n,): each row's cell; `rows`, `cells` (v,): the visits to other cells."""

    home: np.ndarray
    rows: np.ndarray
    cells: np.ndarray


def fit(points: np.ndarray, k: int, rng: np.random.Generator) -> Cells:
    """About `k` cells over (n, m) `points`: k-means in regions, then within each region, on a sample."""
    rows = points[np.sort(rng.choice(len(points), min(len(points), k * PER_CELL), replace=False))]
    regions = _kmeans(rows, max(1, round(k**0.5)), rng)
    home = _scores(rows, regions).argmax(1)
    inside = [rows[home == region] if (home == region).any() else regions[[region]] for region in range(len(regions))]
    parts = [_kmeans(part, max(1, round(k * len(part) / len(rows))), rng) for part in inside]
    return Cells(regions, np.concatenate(parts), np.r_[0, np.cumsum([len(p) for p in parts])])


def route(cells: Cells, points: np.ndarray, margin: float) -> Routes:
    """Every row of (n, m) `points` at home in the nearest cell of its nearest region, and a visitor wherever the border is
    nearer than `margin`: the plane half-way between its region and another, its cell and another."""
    everyone = np.arange(len(points), dtype=np.int32)
    region, guests, hosts = _visits(points, everyone, cells.regions, margin)
    home, rows, visited = np.empty(len(points), np.int32), [], []
    owners, visitors = _sorted(region, everyone, len(cells.regions)), _sorted(hosts, guests, len(cells.regions))
    for own, passing, start, stop in zip(owners, visitors, cells.start[:-1], cells.start[1:], strict=True):
        best, who, where = _visits(points, np.concatenate([own, passing]), cells.centroids[start:stop], margin)
        home[own] = best[: len(own)] + start
        rows += [who, passing]
        visited += [(where + start).astype(np.int32), (best[len(own) :] + start).astype(np.int32)]
    return Routes(home, np.concatenate(rows), np.concatenate(visited))


def members(cells: Cells, routes: Routes) -> Iterator[tuple[np.ndarray, int]]:
    """The rows of each cell, and how many of them, the first, are at home: those in ascending order."""
    k = len(cells.centroids)
    everyone = np.arange(len(routes.home), dtype=np.int32)
    for own, guests in zip(_sorted(routes.home, everyone, k), _sorted(routes.cells, routes.rows, k), strict=True):
        if len(own):
            yield np.concatenate([own, guests]), len(own)


def meet(cells: Cells, points: np.ndarray, moved: np.ndarray, margin: float) -> np.ndarray:
    """(n,) bool: whether a point and its displaced copy meet, one of the two at home."""
    k, at = len(cells.centroids), np.arange(len(points))
    here, there = route(cells, points, margin), route(cells, moved, margin)
    goes = np.isin(at * k + there.home, here.rows.astype(np.int64) * k + here.cells)
    comes = np.isin(at * k + here.home, there.rows.astype(np.int64) * k + there.cells)
    return np.asarray((here.home == there.home) | goes | comes)


def _visits(points: np.ndarray, rows: np.ndarray, centroids: np.ndarray, margin: float) -> tuple[np.ndarray, ...]:
    """(nearest centroid of each of `rows`, row of each visit, centroid of each visit)."""
    gap = np.sqrt(_squared(centroids, centroids))
    widest = margin * gap.max(1)
    homes, who, where = [np.zeros(0, np.int64)], [np.zeros(0, rows.dtype)], [np.zeros(0, np.int64)]
    for start in range(0, len(rows), _STEP):
        part = rows[start : start + _STEP]
        scores = _scores(points[part], centroids)
        at = np.arange(len(part))
        home = scores.argmax(1)
        top = scores[at, home]
        scores[at, home] = -np.inf
        i, j = np.divmod(np.flatnonzero(scores > (top - widest[home])[:, None]), len(centroids))
        inside = top[i] - scores[i, j] < margin * gap[home[i], j]
        homes.append(home)
        who.append(part[i[inside]])
        where.append(j[inside])
    return np.concatenate(homes), np.concatenate(who), np.concatenate(where)


def _sorted(groups: np.ndarray, rows: np.ndarray, k: int) -> list[np.ndarray]:
    """The rows of each of `k` groups, in the order given."""
    order = np.argsort(groups.astype(np.uint16) if k <= 1 << 16 else groups, kind="stable")  # 16 bits: sorted by radix
    return np.split(rows[order], np.cumsum(np.bincount(groups, minlength=k))[:-1])


def _scores(points: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Larger is nearer: x.c - |c|^2 / 2; differences of it over |a - b| are distances to the plane between a and b."""
    scores = points @ centroids.T
    scores -= np.einsum("ij,ij->i", centroids, centroids) / 2
    return np.asarray(scores)


def _squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(np.einsum("ij,ij->i", a, a)[:, None] - 2 * a @ b.T + np.einsum("ij,ij->i", b, b), 0))


def _kmeans(points: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    import faiss

    seed = int(rng.integers(1 << 30))
    if k >= len(points):
        return np.ascontiguousarray(points)
    if k == 1:
        return points.mean(0, keepdims=True)
    made: Any = faiss.Kmeans(
        points.shape[1], k, niter=ROUNDS, seed=seed, min_points_per_centroid=1, max_points_per_centroid=PER_CELL
    )
    made.train(np.ascontiguousarray(points))
    return np.asarray(made.centroids)
