"""How hard a row is for a target, in parts; and the benign rows that look most like violations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from sparring.errors import DataError, UserError
from sparring.operators.base import Operator
from sparring.record import digest

from .labels import views

PARTS = ("margin", "entropy", "disagreement", "nearness", "flips")
STRENGTH = 0.3  # of an operator that perturbs a text
Scores = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True, slots=True)
class Hardness:
    """Each (n,) float32 in [0, 1], higher is harder, NaN where it was not measured. `value` is the mean of the parts that were.

    `margin`: 1 less the lead of the row's label over the strongest other one, halved: 0.5 on the boundary, more where the label
    loses. `entropy` of the mean prediction over its maximum. `disagreement`: Jensen-Shannon divergence of the views over its
    maximum. `nearness`: of the nearest row with another label, as a share of all rows that have it farther. `flips`: share of
    perturbed copies that the target decides otherwise.
    """

    value: np.ndarray
    margin: np.ndarray
    entropy: np.ndarray
    disagreement: np.ndarray
    nearness: np.ndarray
    flips: np.ndarray


def hardness(
    probabilities: np.ndarray, labels: np.ndarray, vectors: np.ndarray, *, flips: np.ndarray | None = None
) -> Hardness:
    """Of views (v, n, k) out of fold, NaN rows where one abstains, `labels` (n,), -1 for none, and unit `vectors` (n, d).

    Raises `DataError` for shapes that do not agree, for rows that are no probabilities, and for vectors that are not finite.
    """
    p, y, x = np.asarray(probabilities), np.asarray(labels), np.asarray(vectors)
    if p.ndim != 3 or x.ndim != 2 or p.shape[2] < 2 or not p.shape[1] == len(y) == len(x):
        raise DataError(f"expected views (v, n, k >= 2), labels (n,), vectors (n, d); got {p.shape}, {y.shape}, {x.shape}")
    views.expect(p, y, x)
    if flips is not None and np.shape(flips) != y.shape:
        raise DataError(f"expected flip rates {y.shape}, got {np.shape(flips)}")
    n, k = len(y), p.shape[2]
    there = ~np.isnan(p).all(2)
    count = there.sum(0)
    mean = np.where(count[:, None] > 0, np.nansum(p, 0) / np.maximum(count, 1)[:, None], np.nan)
    own = np.where(y >= 0, mean[np.arange(n), y], np.nan)
    others = mean.copy()
    others[np.arange(n), y] = -1  # of an unlabelled row, any: its margin is unknown
    entropy = _entropy(mean)
    within = np.where(count > 0, np.where(there, _entropy(p), 0).sum(0) / np.maximum(count, 1), np.nan)
    parts = {
        "margin": (1 - (own - others.max(1, initial=-1))) / 2,
        "entropy": entropy / np.log(k),
        "disagreement": np.where(count > 1, (entropy - within) / np.log(np.minimum(np.maximum(count, 2), k)), np.nan),
        "nearness": _nearness(x, y),
        "flips": np.full(n, np.nan) if flips is None else np.asarray(flips, np.float64),
    }
    known = np.array([np.clip(parts[name], 0, 1) for name in PARTS])
    measured = (~np.isnan(known)).sum(0)
    value = np.where(measured > 0, np.nansum(known, 0) / np.maximum(measured, 1), np.nan)
    return Hardness(*(part.astype(np.float32) for part in (value, *known)))


def flip_rate(
    texts: Sequence[str], scores: Scores, operators: Mapping[str, Operator], *, threshold: float = 0.5,
    strength: float = STRENGTH, seed: int = 0,
) -> np.ndarray:  # fmt: skip
    """(n,) float32: the share of operators after which the target decides otherwise than before.

    `scores` takes texts and gives (n,) scores that a text violates; it decides so above `threshold`. An operator that cannot
    change a text does not count for it, nor does a copy whose score is NaN: NaN where none counts. A text's copies depend on
    the text and the seed alone.
    """
    if not operators:
        raise UserError("expected at least one operator, got none. Fix: name some; `sparring parts --kind operator` lists them")
    if not len(texts):
        return np.zeros(0, np.float32)
    before = _scored(scores, texts)
    flipped, tried = np.zeros(len(texts)), np.zeros(len(texts))
    for name, operator in operators.items():
        copies = [operator.apply(t, strength=strength, rng=Random(digest(t, name, str(seed)))) for t in texts]
        rows = np.flatnonzero([copy != text for copy, text in zip(copies, texts, strict=True)])
        if len(rows):
            after = _scored(scores, [copies[i] for i in rows])
            counts = ~np.isnan(after + before[rows])
            flipped[rows] += counts & ((after > threshold) != (before[rows] > threshold))
            tried[rows] += counts
    return np.where(tried > 0, flipped / np.maximum(tried, 1), np.nan).astype(np.float32)


@dataclass(frozen=True, slots=True)
class HardNegatives:
    """Benign rows, the hardest first. `rows` (m,) int; `violating` (m,) int, the nearest violating row, -1 where there is none;
    `cosine` (m,) to it; `score` (m,), the target's, NaN where there is no target."""

    rows: np.ndarray
    violating: np.ndarray
    cosine: np.ndarray
    score: np.ndarray


def hard_negatives(vectors: np.ndarray, labels: np.ndarray, budget: int, *, scores: np.ndarray | None = None) -> HardNegatives:
    """Up to `budget` benign rows (label 0): in turn the one that lies nearest to a violating row and, if there are `scores`
    (n,) that a row violates, the one that scores highest. `vectors` (n, d) unit."""
    x, y = np.asarray(vectors), np.asarray(labels)
    given = y.shape if scores is None else np.shape(scores)
    if x.ndim != 2 or len(x) != len(y) or given != y.shape:
        raise DataError(f"expected vectors (n, d), labels (n,), scores (n,); got {x.shape}, {y.shape}, {given}")
    if budget < 0:
        raise UserError(f"expected a budget of 0 or more rows, got {budget}")
    benign, violating = np.flatnonzero(y == 0), np.flatnonzero(y > 0)
    cosine, nearest = np.full(len(benign), -1.0, np.float32), np.full(len(benign), -1)
    if len(benign) and len(violating):
        from sparring.index import Index

        found, row = Index(x[violating]).nearest(x[benign], 1)
        cosine, nearest = found[:, 0], violating[row[:, 0]]
    value = np.full(len(benign), np.nan) if scores is None else np.asarray(scores, np.float64)[benign]
    by_place = np.lexsort((benign, -cosine))
    queue = by_place if scores is None else np.stack([by_place, np.lexsort((benign, -np.nan_to_num(value, nan=-1)))], 1).ravel()
    first = list(dict.fromkeys(queue.tolist()))[:budget]
    return HardNegatives(benign[first], nearest[first], cosine[first], value[first])


def _entropy(p: np.ndarray) -> np.ndarray:
    return -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), np.where(np.isnan(p), np.nan, 0)), axis=-1)


def _nearness(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    from sparring.index import Index

    best = np.full(len(y), np.nan)
    for label in np.unique(y[y >= 0]):
        rows, others = np.flatnonzero(y == label), np.flatnonzero((y >= 0) & (y != label))
        if len(others):
            best[rows] = Index(x[others]).nearest(x[rows], 1)[0][:, 0]
    known = np.sort(best[~np.isnan(best)])
    return np.where(np.isnan(best), np.nan, np.searchsorted(known, best) / max(1, len(known) - 1))


def _scored(scores: Scores, texts: Sequence[str]) -> np.ndarray:
    found = np.asarray(scores(texts))
    if found.shape != (len(texts),) or np.isinf(found).any():
        raise DataError(f"expected a finite score for each of {len(texts)} texts, got shape {found.shape} or infinity")
    return found
