"""Label issues from predictions that there are already, for millions of rows: confident learning in two passes over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparring.errors import DataError

from .views import ALMOST, checked_labels

CHUNK = 16_384


@dataclass(frozen=True, slots=True)
class Scored:
    """`score` (n,) float32 in [0, 1]: the likeliest other label's share against the given one, high is suspect; `flagged` (n,)
    bool; `suggested` (n,) int, the likeliest label; `joint` (k, k) int: rows given label i that are surely label j."""

    score: np.ndarray
    flagged: np.ndarray
    suggested: np.ndarray
    joint: np.ndarray


def confident(probabilities: np.ndarray, labels: Sequence[int] | np.ndarray) -> Scored:
    """Confident learning (Northcutt et al., https://arxiv.org/abs/1911.00068), pruned by the noise rate of each given label.

    `probabilities` (n, k), out of fold, rows sum to 1, may be a memory map; `labels` (n,) from 0, -1 unlabelled. A row is
    surely label j when P(j) reaches the mean of P(j) over the rows given j. Of the rows given i as many are flagged as
    the joint finds to be another label, those of the highest score among rows that are likelier another label (cleanlab counts
    each pair of labels apart and flags fewer right ones). Beside the input it holds a few numbers a row. Raises
    `DataError` on a wrong shape, NaN, or rows that do not sum to 1.
    """
    p = probabilities
    if np.ndim(p) != 2:
        raise DataError(f"expected predictions of shape (n, k); got {np.shape(p)}")
    n, k = p.shape
    y = checked_labels(labels, n)
    if n and y.max() >= k:
        raise DataError(f"expected labels below {k}, the number of columns; got {int(y.max())}")
    count = np.bincount(y[y >= 0], minlength=k)
    limit = _limits(p, y, count)
    joint, score, best = np.zeros(k * k, np.int64), np.zeros(n, np.float32), np.zeros(n, np.int32)
    for start in range(0, n, CHUNK):
        rows = slice(start, start + CHUNK)
        some, given = np.array(p[rows], np.float32), y[rows]
        row, known = np.arange(len(some)), given >= 0
        sure = np.where(some >= limit, some, -1)
        likeliest = sure.argmax(1)
        counted = known & (sure[row, likeliest] >= 0)
        joint += np.bincount(given[counted] * k + likeliest[counted], minlength=k * k)
        best[rows] = some.argmax(1)
        own = some[row, given]
        some[row[known], given[known]] = -1
        other = some.max(1, initial=0)
        score[rows] = np.where(known, other / np.maximum(other + own, 1e-12), 0)
    return Scored(score, _flags(score, best, y, joint.reshape(k, k), count), best.astype(np.int64), joint.reshape(k, k))


def _limits(p: np.ndarray, y: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(k,) float32: the mean P(j) over the rows given j; none is surely a label that was never given."""
    total = np.zeros(p.shape[1])
    for start in range(0, len(p), CHUNK):
        some, given = np.asarray(p[start : start + CHUNK]), y[start : start + CHUNK]
        off = np.abs(some.sum(1) - 1)
        if not (off <= ALMOST).all() or (some < -1e-6).any():  # NaN is not <= either
            row = int((~(off <= ALMOST) | (some < -1e-6).any(1)).argmax())
            raise DataError(
                f"expected rows of probabilities that sum to 1; row {start + row} sums to {some[row].sum():.3g}. Fix: for "
                "scores that are independent per label, views.normalised(scores)"
            )
        known = np.flatnonzero(given >= 0)
        total += np.bincount(given[known], some[known, given[known]], minlength=len(total))
    return np.where(count > 0, total / np.maximum(count, 1) - 1e-6, 2).astype(np.float32)


def _flags(score: np.ndarray, best: np.ndarray, y: np.ndarray, joint: np.ndarray, count: np.ndarray) -> np.ndarray:
    """(n,) bool: of the rows given i, as many as the joint finds to be another label, those of the highest score."""
    share = joint.diagonal() / np.maximum(joint.sum(1), 1)
    quota = np.where(joint.sum(1) > 0, np.floor(count * (1 - share) + 0.5), 0).astype(np.int64)
    flagged = np.zeros(len(y), bool)
    rows = np.flatnonzero((best != y) & (y >= 0))
    order = np.lexsort((rows, -score[rows], y[rows]))
    rows, given = rows[order], y[rows[order]]
    rank = np.arange(len(rows)) - np.searchsorted(given, given)
    flagged[rows[rank < quota[given]]] = True
    return flagged
