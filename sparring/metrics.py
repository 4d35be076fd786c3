"""Operating point and figures, each with its bootstrap interval: `[value, low, high, n]`, 95%, percentile method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Figure = list[float]
DRAWS = 1000


def operating_point(scores: np.ndarray, violating: np.ndarray, max_fpr: float) -> float:
    """Lowest threshold whose false-positive rate on these rows is at most `max_fpr` (violating when score > it)."""
    negative = np.sort(np.asarray(scores)[~np.asarray(violating, bool)])[::-1]
    return float(negative[min(int(np.floor(max_fpr * len(negative))), len(negative) - 1)])


def held_f1(
    scores: np.ndarray, violating: np.ndarray, groups: Sequence[str], max_fpr: float | None, own: float, *, folds: int = 5
) -> tuple[float, float]:
    """F1 where each row is decided at the `operating_point` of the other folds' rows; at `own` where `max_fpr` is None or the
    others hold no benign row. A group stands in one fold. Behind it what one violating row, had it been missed, takes from F1.
    """
    fold = np.unique(np.asarray(groups), return_inverse=True)[1] % folds
    decided = scores > own
    for held in range(folds if max_fpr is not None else 0):
        others = fold != held
        if (others & ~violating).any():
            decided[~others] = scores[~others] > operating_point(scores[others], violating[others], max_fpr or 0.0)
    table = _confusion(decided, violating)
    found, missed = (float(_ratios(t)["f1"]) for t in (table, np.add(table, [0, 1, 0, -1])))
    return found, found - missed if table[3] else 0.0


def rate(successes: Sequence[bool] | np.ndarray, *, seed: int = 0) -> Figure | None:
    """A share with its interval; None over nothing."""
    n = len(successes)
    if not n:
        return None
    value = float(np.mean(successes))
    draws = np.random.default_rng(seed).binomial(n, value, DRAWS) / n  # the bootstrap of a share is binomial
    return _figure(value, draws, n)


def mean(values: np.ndarray, *, seed: int = 0) -> Figure | None:
    """The mean of one value a row, with its interval over rows."""
    n = len(values)
    if not n:
        return None
    distinct, count = np.unique(values, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(n, count / n, DRAWS) @ distinct / n
    return _figure(float(np.mean(values)), draws, n)


def clean(scores: np.ndarray, violating: np.ndarray, threshold: float, *, seed: int = 0) -> dict[str, Figure]:
    """f1, precision, recall, fpr and pr_auc of the binary decision, violating against benign."""
    from sklearn.metrics import average_precision_score

    scores, y = np.asarray(scores, np.float64), np.asarray(violating, bool)
    rng, n = np.random.default_rng(seed), len(y)
    out = decisions(scores > threshold, y, seed=seed)
    samples = rng.integers(0, n, (200, n))
    areas = [average_precision_score(y[rows], scores[rows]) for rows in samples if y[rows].any()]
    out["pr_auc"] = _figure(float(average_precision_score(y, scores)), np.array(areas), n)
    return out


def decisions(decided: np.ndarray, true: np.ndarray, *, seed: int = 0) -> dict[str, Figure]:
    """f1, precision, recall and fpr of binary decisions."""
    table, n = _confusion(np.asarray(decided, bool), np.asarray(true, bool)), len(true)
    drawn = np.random.default_rng(seed).multinomial(n, table / n, DRAWS)
    values, resampled = _ratios(table), _ratios(drawn)
    return {name: _figure(values[name], resampled[name], n) for name in values}


def kappa(one: Sequence[Any] | np.ndarray, other: Sequence[Any] | np.ndarray) -> float | None:
    """Cohen's kappa of two raters (Cohen 1960); None over nothing, or where each said one and the same thing only."""
    found = _kappas(np.asarray(one), np.asarray(other), np.ones((1, len(one))))[0] if len(one) else np.nan
    return None if np.isnan(found) else round(float(found), 6)


def agreement(
    one: Sequence[Any], other: Sequence[Any], *, groups: Sequence[Any] | None = None, seed: int = 0
) -> dict[str, Figure | None]:
    """`raw` agreement and Cohen's `kappa` of two raters of the same rows; intervals by the bootstrap over `groups` (rows of one
    lineage stand or fall together), over rows without them. None where a figure is not defined."""
    a, b = np.asarray(one), np.asarray(other)
    if len(a) != len(b) or (groups is not None and len(groups) != len(a)):
        raise ValueError(f"expected two labels and a group for each row; got {len(a)}, {len(b)}, {len(groups or ())}")
    if not len(a):
        return {"raw": None, "kappa": None}
    of_row = np.unique(np.asarray(groups), return_inverse=True)[1] if groups is not None else np.arange(len(a))
    count = int(of_row.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS)[:, of_row]
    raw, value = drawn @ (a == b) / drawn.sum(1), kappa(a, b)
    kappas = _kappas(a, b, drawn)
    return {
        "raw": _figure(float(np.mean(a == b)), raw, len(a)),
        "kappa": None if value is None else _figure(value, kappas[~np.isnan(kappas)], len(a)),
    }


def _kappas(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(draws,) Cohen's kappa of rows that count `weights` (draws, n) times; NaN where chance alone would agree fully."""
    total = weights.sum(1)
    chance = sum((weights @ (a == label)) * (weights @ (b == label)) for label in np.union1d(a, b)) / total**2
    agreed = weights @ (a == b) / total
    return np.divide(agreed - chance, 1 - chance, out=np.full(len(total), np.nan), where=chance < 1 - 1e-12)


def paired_f1_low(before: np.ndarray, after: np.ndarray, violating: np.ndarray, *, seed: int = 0) -> float:
    """Lower bound of the paired bootstrap of F1(after) - F1(before); arguments are decisions on the same rows."""
    before, after, y = (np.asarray(a, bool) for a in (before, after, violating))
    cells = before * 4 + after * 2 + y
    drawn = np.random.default_rng(seed).multinomial(len(y), np.bincount(cells, minlength=8) / len(y), DRAWS)
    cell = np.arange(8)
    tables = [
        np.stack([drawn[:, (_bit(cell, b) == d) & ((cell & 1) == t)].sum(1) for d in (0, 1) for t in (0, 1)], 1) for b in (2, 1)
    ]
    return float(np.percentile(_ratios(tables[1])["f1"] - _ratios(tables[0])["f1"], 2.5))


def _bit(cell: np.ndarray, place: int) -> np.ndarray:
    return (cell >> place) & 1


def _confusion(decided: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Counts of (decided, true) = 00, 01, 10, 11."""
    return np.bincount(decided.astype(int) * 2 + y.astype(int), minlength=4)


def _ratios(table: np.ndarray) -> dict[str, np.ndarray]:
    tn, fn, fp, tp = np.moveaxis(np.asarray(table, np.float64), -1, 0)

    def over(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.divide(a, b, out=np.zeros_like(a, dtype=np.float64), where=b > 0)

    return {
        "f1": over(2 * tp, 2 * tp + fp + fn),
        "precision": over(tp, tp + fp),
        "recall": over(tp, tp + fn),
        "fpr": over(fp, fp + tn),
    }


def _figure(value: float | np.ndarray, draws: np.ndarray, n: int) -> Figure:
    low, high = np.percentile(draws, [2.5, 97.5])
    return [round(float(value), 6), round(float(low), 6), round(float(high), 6), n]
