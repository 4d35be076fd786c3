"""Folds in which a group stands on one side only, every class spread as evenly as its groups allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparring.errors import DataError
from sparring.graph import components


def deal(labels: np.ndarray, groups: Sequence[int] | np.ndarray | None, folds: int, *, seed: int) -> np.ndarray:
    """(n,) int: the fold of each row, 0 to `folds` - 1. Of (n,) labels and (n,) groups; None: each row is a group.

    A group counts for the class that most of its rows have. Large groups are placed one by one where their class has the
    fewest rows, rows by themselves fill what is missing. A class of at least two groups stands in at least two folds.
    """
    y = np.asarray(labels)
    rng = np.random.default_rng(seed)
    group = np.arange(len(y)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if group.shape != y.shape:
        raise DataError(f"expected a group for each of {len(y)} rows; got {len(group)}")
    if not len(y):
        return np.zeros(0, np.int64)
    classes, dense = np.unique(y, return_inverse=True)
    size, major = np.bincount(group), _majority(group, dense, len(classes))
    order = rng.permutation(len(size))
    fold = np.zeros(len(size), np.int64)
    held = np.zeros((len(classes), folds), np.int64)  # rows
    for number in sorted((i for i in order.tolist() if size[i] > 1), key=lambda i: -size[i]):
        row = held[major[number]]
        fold[number] = row.argmin()
        row[fold[number]] += size[number]
    single = order[size[order] == 1]
    for c in range(len(classes)):
        mine = single[major[single] == c]
        fold[mine] = _fill(held[c], len(mine), rng)
    return fold[group]


def joined(groups: np.ndarray | None, near: np.ndarray) -> np.ndarray:
    """(n,) int: groups, those that share a near-duplicate group made one. `near` (n,) int, -1 for a row without."""
    near = np.asarray(near)
    group = np.arange(len(near)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if group.shape != near.shape:
        raise DataError(f"expected a group for each of {len(near)} rows; got {len(group)}")
    rows = np.flatnonzero(near >= 0)
    first = int(group.max(initial=-1)) + 1
    count = first + int(near.max(initial=-1)) + 1
    return components(group[rows], first + near[rows], count)[group]


def _majority(group: np.ndarray, dense: np.ndarray, classes: int) -> np.ndarray:
    """(groups,) the class of most rows, the first of equals."""
    pair, count = np.unique(group * classes + dense, return_counts=True)
    best = np.lexsort((pair, -count, pair // classes))
    first = np.unique(pair[best] // classes, return_index=True)[1]
    return pair[best][first] % classes


def _fill(held: np.ndarray, many: int, rng: np.random.Generator) -> np.ndarray:
    """(many,) folds that bring the rows of a class, `held` of them placed, to the same number a fold."""
    want = np.maximum((held.sum() + many) / len(held) - held, 0)
    share = want * many / max(want.sum(), 1e-12)
    each = np.floor(share).astype(int)
    tie = rng.permutation(len(held))
    behind = tie[np.argsort(-(share - each)[tie], kind="stable")]
    each[behind[: many - each.sum()]] += 1
    return rng.permutation(np.repeat(np.arange(len(held)), each))
