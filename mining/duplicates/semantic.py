"""Near duplicates by embedding: the pairs of rows with cosine above an absolute threshold, in more rows than memory holds.

Each row gets a short sketch (`sketch.py`) and a cell, and visits the cells across a near border (`cells.py`); pairs within a
cell are dismissed by their sketches, and the few that are left verified on the rows (`verified.py`). Why so:
`docs/design/near_duplicates.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sparring.arrays import distinct
from sparring.errors import DataError
from sparring.graph import components

from . import cells, sketch
from .verified import Verified, cosines

EXACT = 8192  # rows up to which every pair is compared
CELL = 128  # rows at home in a cell, on average
_ASKED = 1 << 16  # candidates of the check that are looked at in a part
_FINEST = 1 / 64  # of the widest margin: less is rounding


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Pairs of rows `first` < `second`, each (p,) int64, in ascending order, and their `cosine` (p,) float32.

    `recall`: the share that was found of `checked` pairs, those of some sampled rows, known from exact search; 1 where all
    pairs were compared, None where nothing was checked. `cut`: rows with more earlier partners than are listed.
    """

    first: np.ndarray
    second: np.ndarray
    cosine: np.ndarray
    recall: float | None
    checked: int
    cut: np.ndarray


def near_duplicates(
    vectors: np.ndarray, threshold: float = 0.95, *, recall: float = 0.98, check: int = 512, most: int = 64, seed: int = 0
) -> NearDuplicates:
    """Pairs of (n, d) float32 unit rows with cosine > `threshold`, verified on the rows; `vectors` may be a memory map.

    Up to 8,192 rows every pair is compared. Beyond, a row visits neighbouring cells as far as a share `recall` of sampled
    rows, displaced to the very threshold towards another row, needs to meet its origin; then `check` rows are compared with
    all others to measure what was found. Rows of zeros are near nothing. Of a row's pairs with earlier rows `most` are
    kept. Memory: about 450 bytes a row, and the pairs.

    Raises `DataError` for rows that are neither of unit length nor zero, and for a threshold outside (0, 1).
    """
    if vectors.ndim != 2 or not 0 < threshold < 1:
        raise DataError(f"expected (n, d) vectors and a threshold in (0, 1), got shape {vectors.shape} and {threshold}")
    n, rng = len(vectors), np.random.default_rng(seed)
    sampled = sketch.sample(vectors, rng)
    along = sketch.whole(vectors.shape[1], threshold) if n <= EXACT else sketch.axes(sampled, threshold, rng)
    points, rows = sketch.sketch(vectors, along)
    found = Verified(vectors, threshold, most)
    if n <= EXACT:
        found.within(points, rows, len(rows), along)
        first, second, cosine, cut = found.result()
        return NearDuplicates(first, second, cosine, 1.0, 0, cut)
    places = points[:, -along.leading :]
    where = cells.fit(places, max(1, len(points) // CELL), rng)
    margin = _margin(where, along, sampled, threshold, recall, rng)
    for members, here, homes in cells.members(where, points, margin):
        found.within(here, rows[members], homes, along)
    first, second, cosine, cut = found.result()
    known = _known(vectors, points, rows, along, threshold, check, rng)
    known = known[~np.isin(known % n, cut)]
    share = float(np.isin(known, first * n + second).mean()) if len(known) else None
    return NearDuplicates(first, second, cosine, share, len(known), cut)


def near_duplicate_groups(vectors: np.ndarray, threshold: float = 0.95) -> np.ndarray:
    """(n,) int: -1 for a row without a near duplicate, else the number of its group.

    Pairs of (n, d) unit vectors with cosine > `threshold`, verified exactly; a group is a connected component and only
    names its rows: nothing is removed because a chain of others lies between. All pairs up to 8,192 rows; beyond, those of
    `near_duplicates`.
    """
    component = np.arange(len(vectors))
    for first, second in _compared(vectors, threshold):
        component = _joined(component, first, second)
    component = np.unique(component, return_inverse=True)[1]
    size = np.bincount(component)
    number = np.cumsum(size > 1) - 1
    return np.where(size[component] > 1, number[component], -1)


def _compared(vectors: np.ndarray, threshold: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if len(vectors) > EXACT:
        found = near_duplicates(vectors, threshold, check=0)
        yield found.first, found.second
        return
    for start in range(0, len(vectors), 512):
        i, j = np.nonzero(np.triu(vectors[start : start + 512] @ vectors[start:].T > threshold, 1))
        yield i + start, j + start


def _joined(component: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Component of each row once the pairs are joined too."""
    a, b = component[first], component[second]
    new = a != b
    return components(a[new], b[new], len(component))[component] if new.any() else component


def _margin(
    where: cells.Cells, along: sketch.Axes, sampled: np.ndarray, threshold: float, recall: float, rng: np.random.Generator
) -> float:
    """How far over a border rows have to visit, so that a share `recall` of displaced rows meets its origin."""
    toward = sampled[rng.permutation(len(sampled))] - sampled
    toward -= np.einsum("ij,ij->i", toward, sampled)[:, None] * sampled
    length = np.linalg.norm(toward, axis=1, keepdims=True)
    moved = threshold * sampled + np.sqrt(1 - threshold**2) * toward / np.where(length > 0, length, 1)
    place, displaced = (along.of(x.astype(np.float32))[:, -along.leading :] for x in (sampled, moved))
    widest = float(np.sqrt((1 - threshold) / 2))  # half the distance at the threshold: no pair needs more
    needed = float(np.quantile(cells.needed(where, place, displaced), recall, method="higher"))
    return float(np.clip(needed, widest * _FINEST, widest))


def _known(
    vectors: np.ndarray, points: np.ndarray, rows: np.ndarray, along: sketch.Axes, threshold: float, check: int,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Keys of all pairs of `check` rows, verified. Where a part of the rows leaves more than 65,536 candidates, a random share
    of them is looked at."""
    chosen = np.sort(rng.choice(len(points), min(check, len(points)), replace=False))
    asked = np.hstack([points[chosen, : along.first], np.ones((len(chosen), 1), np.float32)])
    bound = (np.einsum("ij,ij->i", asked, asked) - 1 - along.near) / 2
    keys = [np.zeros(0, np.int64)]
    for start in range(0, len(points) if check else 0, 8192):
        part = points[start : start + 8192]
        first = part[:, : along.first]
        half = np.einsum("ij,ij->i", first, first) / 2
        i, j = np.nonzero(asked @ np.hstack([first, -half[:, None]]).T > bound[:, None])
        if len(i) <= _ASKED:  # of more, a share is looked at as they are
            apart = points[chosen[i]] - part[j]
            near = np.einsum("ij,ij->i", apart, apart) <= along.near
            i, j = i[near], j[near]
        else:
            some = rng.choice(len(i), _ASKED, replace=False)
            i, j = i[some], j[some]
        i, j = chosen[i], j + start
        near = i != j
        a, b = rows[np.minimum(i, j)[near]].astype(np.int64), rows[np.maximum(i, j)[near]].astype(np.int64)
        above = cosines(vectors, a, b) > threshold if len(a) else np.zeros(0, bool)
        keys.append(a[above] * len(vectors) + b[above])
    return distinct(np.concatenate(keys))
