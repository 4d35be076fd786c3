"""Label errors of known place: flips planted into a copy of the labels, under a model of how labels go wrong."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sparring.errors import DataError

NOISES = ("symmetric", "boundary", "missed")


def plant(
    labels: np.ndarray, count: Mapping[int, int], noise: str, p: np.ndarray, *, rng: np.random.Generator,
    benign: int = 0, allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """A copy of (n,) labels with `count[q]` rows flipped to label q, for each queue q, and the rows flipped.

    symmetric: any row of another label, all alike. boundary: rows whose likeliest other label is q, likelier the surer the
    model is of it: exp(4 p). missed: rows that violate, called benign; other queues get none. `p` (n, k) out of fold. Rows
    that are not `allowed` (n,) bool are left alone. Fewer are planted where fewer can be.
    """
    if noise not in NOISES:
        raise DataError(f"expected a noise of {', '.join(NOISES)}, got {noise!r}")
    out, rows = labels.copy(), []
    free = np.ones(len(labels), bool) if allowed is None else allowed.copy()
    other = p.astype(np.float64)
    other[np.arange(len(labels)), labels] = -1
    second = other.argmax(1)
    for queue, wanted in sorted(count.items()):
        weight = (free & (labels != queue)).astype(np.float64)
        if noise == "boundary":
            weight *= (second == queue) * np.exp(4 * np.clip(other[:, queue], 0, 1))
        elif noise == "missed" and queue != benign:
            continue
        most = min(wanted, int((weight > 0).sum()))
        if most:
            flipped = rng.choice(len(labels), most, replace=False, p=weight / weight.sum())
            out[flipped], free[flipped] = queue, False
            rows.append(flipped)
    return out, np.sort(np.concatenate([*rows, np.zeros(0, np.int64)])).astype(np.int64)


def out_of_fold(vectors: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, *, seed: int) -> np.ndarray:
    """(n, k) float64: what a logistic regression on the other four folds says; groups stand in one fold.

    Not balanced by class: under noise in a large class a balanced one calls too much of it wrong, and errors are counted by it.
    Where no model can be fitted (one group, one label among the others) the given label has 1.
    """
    from sklearn.linear_model import LogisticRegression

    p = np.eye(int(labels.max(initial=0)) + 1)[labels]
    fold = deal(labels, groups, seed=seed)
    for number in range(fold.max(initial=-1) + 1):
        train, held_out = fold != number, fold == number
        if len(np.unique(labels[train])) > 1:
            model = LogisticRegression(max_iter=1000).fit(vectors[train], labels[train])
            p[held_out] = 0
            p[np.ix_(held_out, model.classes_)] = model.predict_proba(vectors[held_out])
    return p


def deal(labels: np.ndarray, groups: np.ndarray | None, *, seed: int, folds: int = 5) -> np.ndarray:
    """(n,) number of each row's fold: groups dealt in turn, those of one label after those of another."""
    if not len(labels):
        return np.zeros(0, np.int64)
    _, first, of = np.unique(np.arange(len(labels)) if groups is None else groups, return_index=True, return_inverse=True)
    order = np.lexsort((np.random.default_rng(seed).random(len(first)), labels[first]))
    fold = np.empty(len(first), np.int64)
    fold[order] = np.arange(len(first)) % folds
    return fold[of]
