"""Cells of a space, and which rows have to visit a neighbour's cell to meet their near duplicates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

PER_CELL = 32  # sample rows a centroid is made of
ROUNDS = 4
_SAME = 1e-6  # squared distance of centroids that are one
_STEP = 4096  # rows at a time: their scores stay in the processor's cache


@dataclass(frozen=True, slots=True)
class Cells:
    """`regions` (g, m) centroids; `centroids` (k, m), those of region r from `start[r]` to `start[r + 1]`."""

    regions: np.ndarray
    centroids: np.ndarray
    start: np.ndarray


@dataclass(frozen=True, slots=True)
class Region:
    """One region's rows: `rows` (m,), the first `own` of them at home in one of its cells, ascending, the others visitors from
    other regions; `nearest` (m,): each row's nearest cell here, which visitors visit. `guests` (v,), places in `rows`, visit
    `hosts` (v,) besides. Cells are numbered as in `Cells`."""

    rows: np.ndarray
    own: int
    nearest: np.ndarray
    guests: np.ndarray
    hosts: np.ndarray


def fit(points: np.ndarray, k: int, rng: np.random.Generator) -> Cells:
    """About `k` cells over (n, m) `points`: k-means in regions, then within each region, on a sample."""
    rows = np.sort(rng.choice(len(points), min(len(points), k * PER_CELL), replace=False))
    regions, home = _kmeans(points[rows[:: max(1, round(k**0.5))]], max(1, round(k**0.5)), rng), []
    for start in range(0, len(rows), _STEP):
        home.append(_scores(points[rows[start : start + _STEP]], regions).argmax(1))
    parts = []
    for region, members in enumerate(_sorted(np.concatenate(home), rows, len(regions))):
        inside = points[members] if len(members) else regions[[region]]
        parts.append(_kmeans(inside, max(1, round(k * len(inside) / len(rows))), rng))
    return Cells(regions, np.concatenate(parts), np.r_[0, np.cumsum([len(p) for p in parts])])


def regions(cells: Cells, points: np.ndarray, margin: float) -> Iterator[Region]:
    """Every row of (n, m) `points` at home in the nearest cell of its nearest region, and a visitor wherever the border is
    nearer than `margin`: the plane half-way between its region and another, its cell and another.

    A region at a time: of visits from cell to cell there are too many to be held for all rows together.
    """
    everyone = np.arange(len(points), dtype=np.int32)
    region, guests, hosts = _visits(points, cells.regions, margin)
    owners, visitors = _sorted(region, everyone, len(cells.regions)), _sorted(hosts, guests, len(cells.regions))
    for own, passing, start, stop in zip(owners, visitors, cells.start[:-1], cells.start[1:], strict=True):
        rows = np.concatenate([own, passing])
        nearest, who, where = _visits(points[rows], cells.centroids[start:stop], margin)
        yield Region(rows, len(own), nearest + start, who, where + start)


def members(cells: Cells, points: np.ndarray, margin: float) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Of each cell the rows, their (m, s) `points`, and how many of them, the first, are at home: those in ascending order.

    `points` (n, s) hold what cells are made of in their last columns.
    """
    dim = cells.regions.shape[1]
    for region, (start, stop) in zip(regions(cells, points[:, -dim:], margin), itertools.pairwise(cells.start), strict=True):
        here, k = points[region.rows], stop - start  # once a region: a row is in several cells of it
        place = np.arange(len(region.rows), dtype=np.int32)
        own, passing = place[: region.own], place[region.own :]
        home = _sorted(region.nearest[: region.own] - start, own, k)
        cell = np.concatenate([region.hosts, region.nearest[region.own :]]) - start
        visits = _sorted(cell, np.concatenate([region.guests, passing]), k)
        for settled, passers in zip(home, visits, strict=True):
            if len(settled):
                at = np.concatenate([settled, passers])
                yield region.rows[at], here[at], len(settled)


def needed(cells: Cells, points: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """(n,): the margin beyond which a point and its displaced copy meet, one of the two at home; 0 within one cell."""
    n, both = len(points), np.concatenate([points, moved])
    at, twin = np.arange(2 * n), np.r_[n : 2 * n, :n]
    region = _gaps(both, cells.regions, None)[0]
    home, there = np.empty(2 * n, np.int64), np.empty(2 * n)
    own, guests = (_sorted(of, at, len(cells.regions)) for of in (region, region[twin]))
    for settled, (start, stop) in zip(own, itertools.pairwise(cells.start), strict=True):
        home[settled] = _gaps(both[settled], cells.centroids[start:stop], None)[0] if len(settled) else 0
    for passing, (start, stop) in zip(guests, itertools.pairwise(cells.start), strict=True):
        if len(passing):
            there[passing] = _gaps(both[passing], cells.centroids[start:stop], home[twin[passing]])[1]
    need = np.maximum(_gaps(both, cells.regions, region[twin])[1], there)
    return np.asarray(np.minimum(need[:n], need[n:]))


def _gaps(points: np.ndarray, centroids: np.ndarray, wanted: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(nearest centroid, how far behind the plane half-way to the `wanted` one, 0 where that is the nearest)."""
    scores, at = _scores(points, centroids), np.arange(len(points))
    nearest = scores.argmax(1)
    if wanted is None:
        return nearest, np.zeros(len(points))
    apart = np.linalg.norm(centroids[nearest] - centroids[wanted], axis=1)
    behind = scores[at, nearest] - scores[at, wanted]
    return nearest, np.divide(behind, apart, out=np.zeros(len(points)), where=apart > 0)


def _visits(points: np.ndarray, centroids: np.ndarray, margin: float) -> tuple[np.ndarray, ...]:
    """(nearest centroid of each of (n, m) `points`, point of each visit, centroid of each visit)."""
    gap = np.sqrt(_squared(centroids, centroids))
    widest = margin * gap.max(1)
    small = np.int16 if len(centroids) < 1 << 15 else np.int32
    homes, who, where = [np.zeros(0, small)], [np.zeros(0, np.int32)], [np.zeros(0, small)]
    for start in range(0, len(points), _STEP):
        scores = _scores(points[start : start + _STEP], centroids)
        at = np.arange(len(scores))
        home = scores.argmax(1)
        top = scores[at, home]
        scores[at, home] = -np.inf
        i, j = np.divmod(np.flatnonzero(scores > (top - widest[home])[:, None]), len(centroids))
        inside = top[i] - scores[i, j] < margin * gap[home[i], j]
        homes.append(home.astype(small))
        who.append((i[inside] + start).astype(np.int32))
        where.append(j[inside].astype(small))
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
    return _apart(np.asarray(made.centroids))


def _apart(centroids: np.ndarray) -> np.ndarray:
    """Without those that stand where an earlier one does: of a flood of copies each would draw some, as rounding has it."""
    near = _squared(centroids, centroids) < _SAME
    return centroids[~np.tril(near, -1).any(1)]
