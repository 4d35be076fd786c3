"""Pairs of rows close to each other within a cell: dismissed by sketches, verified on the rows, kept up to a number a row."""

from __future__ import annotations

import numpy as np

from sparring import mapped
from sparring.arrays import distinct

from .sketch import Axes

_BLOCK, _COLUMNS = 512, 8192  # of a cell, compared at once
_DENSE = 64  # where the sketches leave more than one pair in so many, the block is verified whole
_PENDING = 1 << 19  # pairs that wait to be verified together


class Verified:
    """Collects pairs of rows of `vectors` (n, d), unit length, with cosine > `threshold`.

    A sketch is a row's place among points whose squared distance says which pairs to verify. `most`: of the pairs of a row
    with earlier rows so many are kept.
    """

    def __init__(self, vectors: np.ndarray, threshold: float, most: int):
        self.vectors, self.threshold, self.most = vectors, threshold, most
        self._pending: list[np.ndarray] = []
        self._waiting = 0
        self._keys: list[np.ndarray] = []  # first * n + second
        self._cosine: list[np.ndarray] = []
        self._count = np.zeros(len(vectors), np.int32)  # verified partners in this cell; only crowded cells count
        self._cut = np.zeros(len(vectors), bool)

    def within(self, points: np.ndarray, rows: np.ndarray, homes: int, along: Axes) -> None:
        """Pairs among the members of a cell, `rows` (m,) with sketches `points` (m, s), at least one of the two at home.

        The first `homes` members are at home.
        """
        first = points[:, : along.first]
        half = np.einsum("ij,ij->i", first, first) / 2
        columns = np.hstack([first, -half[:, None]])
        first = np.hstack([first, np.ones((len(points), 1), np.float32)])
        crowded = False
        for start in range(0, homes, _BLOCK):
            stop = min(start + _BLOCK, homes)
            bound = half[start:stop, None] - along.near / 2
            for left in range(start, len(rows), _COLUMNS):
                right = min(left + _COLUMNS, len(rows))
                if crowded and self._full(rows[start:stop], rows[left:right]):
                    continue
                flat = np.flatnonzero(first[start:stop] @ columns[left:right].T > bound)
                i = flat // (right - left)
                j = flat - i * (right - left) + left
                i += start
                later = i < j
                i, j = i[later], j[later]
                if points.shape[1] > along.first and len(i) < _COLUMNS:
                    apart = points[i] - points[j]
                    near_enough = np.einsum("ij,ij->i", apart, apart) < along.near
                    i, j = i[near_enough], j[near_enough]
                if len(i) * _DENSE > (stop - start) * (right - left) and len(i) > _COLUMNS:
                    crowded = True
                    self._block(rows[start:stop], rows[left:right], i - start, j - left)
                elif len(i):
                    self._later(rows[i], rows[j])
        if crowded:
            self._count[rows] = 0

    def _full(self, rows: np.ndarray, columns: np.ndarray) -> bool:
        return bool((self._count[rows] >= self.most).all() and (self._count[columns] >= self.most).all())

    def _block(self, rows: np.ndarray, columns: np.ndarray, i: np.ndarray, j: np.ndarray) -> None:
        cosine = (mapped.take(self.vectors, rows) @ mapped.take(self.vectors, columns).T)[i, j]
        above = cosine > self.threshold
        a, b, cosine = rows[i[above]], columns[j[above]], cosine[above]
        later = np.maximum(a, b)
        rank = _rank(later) + self._count[later]
        keep = rank < self.most
        self._cut[later[~keep]] = True
        np.add.at(self._count, later[keep], 1)
        self._keys.append(self._key(a[keep], b[keep]))
        self._cosine.append(cosine[keep])

    def _later(self, a: np.ndarray, b: np.ndarray) -> None:
        self._pending.append(self._key(a, b))
        self._waiting += len(a)
        if self._waiting > _PENDING:
            self._verify()

    def _verify(self) -> None:
        if not self._pending:
            return
        keys = distinct(np.concatenate(self._pending))
        self._pending, self._waiting = [], 0
        cosine = cosines(self.vectors, *np.divmod(keys, len(self.vectors)))
        above = cosine > self.threshold
        self._keys.append(keys[above])
        self._cosine.append(cosine[above])

    def _key(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(np.minimum(a, b).astype(np.int64) * len(self.vectors) + np.maximum(a, b))

    def result(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """first, second, cosine, each (p,), in ascending order, and the rows whose earlier partners are not all listed."""
        self._verify()
        keys, at = np.unique(np.concatenate([np.zeros(0, np.int64), *self._keys]), return_index=True)
        cosine = np.concatenate([np.zeros(0, np.float32), *self._cosine])[at]
        first, second = np.divmod(keys, max(1, len(self.vectors)))
        keep = _rank(second) < self.most
        self._cut[second[~keep]] = True
        return first[keep], second[keep], cosine[keep], np.flatnonzero(self._cut)


def cosines(vectors: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(p,) float32, of unit rows."""
    out = np.empty(len(first), np.float32)
    for start in range(0, len(first), 4096):
        part = slice(start, start + 4096)
        out[part] = np.einsum("ij,ij->i", mapped.take(vectors, first[part]), mapped.take(vectors, second[part]))
    return out


def _rank(values: np.ndarray) -> np.ndarray:
    """How many equal ones stand before each."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]] if len(values) else np.zeros(0, bool)
    begin = np.maximum.accumulate(np.where(first, np.arange(len(values)), 0))
    rank = np.empty(len(values), np.int64)
    rank[order] = np.arange(len(values)) - begin
    return rank
