from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Pairs:
    """Verified pairs of rows, in order and each once: `row` < `other`, (m,) int64; `similarity` (m,) float32 in [0, 1]."""

    row: np.ndarray
    other: np.ndarray
    similarity: np.ndarray

    @classmethod
    def of(cls, n: int, row: np.ndarray, other: np.ndarray, similarity: np.ndarray) -> Pairs:
        """From pairs of n rows in any order and either way round; of several for the same two rows the most similar stands."""
        low, high = np.minimum(row, other).astype(np.int64), np.maximum(row, other).astype(np.int64)
        key = low * n + high
        order = np.lexsort((-np.asarray(similarity, np.float64), key))
        order = order[(low != high)[order]]
        order = order[np.r_[True, np.diff(key[order]) > 0][: len(order)]]
        return cls(low[order], high[order], np.asarray(similarity, np.float32)[order])

    def __len__(self) -> int:
        return len(self.row)


def product(start: np.ndarray, count: np.ndarray, other: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, ...]:
    """Every place of [start, start + count) with every one of [other, other + times), pair by pair; and the pair's number."""
    total = count * times
    pair = np.repeat(np.arange(len(total)), total)
    place = np.arange(len(pair)) - np.repeat(np.cumsum(total) - total, total)
    return start[pair] + place // times[pair], other[pair] + place % times[pair], pair
