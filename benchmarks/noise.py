"""Label noise as all published figures of label issues define it; tests/benchmarks/test_label_issues.py holds it to that."""

from __future__ import annotations

import numpy as np

KINDS = ("symmetric", "boundary", "missed")


def rare(labels: np.ndarray, prevalence: float = 0.03, seed: int = 5) -> np.ndarray:
    """Row numbers that thin the positives of (n,) labels 0 and 1 to `prevalence`."""
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    many = int(prevalence * len(negative) / (1 - prevalence))
    return np.sort(np.concatenate([negative, np.random.default_rng(seed).choice(positive, many, replace=False)]))


def flip(labels: np.ndarray, kind: str, seed: int, features: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(n,) noisy labels and the (n,) bool mask of flips.

    symmetric: 10% of rows get any other label. boundary: 10% get the runner-up of a cross-validated logistic regression on
    `features`, rows of a small margin likelier. missed: 20% of label 1 are called 0.
    """
    rng, n, noisy, mask = np.random.default_rng(seed), len(labels), labels.copy(), np.zeros(len(labels), bool)
    if kind == "missed":
        positive = np.flatnonzero(labels == 1)
        rows = rng.choice(positive, int(0.2 * len(positive)), replace=False)
        noisy[rows] = 0
    elif kind == "symmetric":
        rows = rng.choice(n, round(0.1 * n), replace=False)
        classes = int(labels.max()) + 1
        noisy[rows] = (labels[rows] + rng.integers(1, classes, len(rows))) % classes
    elif kind == "boundary":
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict

        folds = StratifiedKFold(5, shuffle=True, random_state=99)
        p = cross_val_predict(LogisticRegression(max_iter=300), features, labels, method="predict_proba", cv=folds)
        p[np.arange(n), labels] = -1
        weight = np.exp(4 * p.max(1))
        rows = rng.choice(n, round(0.1 * n), replace=False, p=weight / weight.sum())
        noisy[rows] = p.argmax(1)[rows]
    else:
        raise ValueError(f"expected a kind of {', '.join(KINDS)}; got {kind!r}")
    mask[rows] = True
    return noisy, mask
