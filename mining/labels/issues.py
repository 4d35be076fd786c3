from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FOLDS = 5


@dataclass(frozen=True, slots=True)
class LabelIssues:
    """`quality`: (n,) in [0, 1], low is suspect; `flagged`: (n,) bool; `suggested`: (n,) int, the likeliest label."""

    quality: np.ndarray
    flagged: np.ndarray
    suggested: np.ndarray


def find(vectors: np.ndarray, labels: Sequence[int], groups: Sequence[str], *, seed: int) -> LabelIssues:
    """Confident learning (Northcutt et al., https://arxiv.org/abs/1911.00068, by cleanlab) on out-of-fold predictions.

    `vectors` (n, d), `labels` (n,) numbered from 0. Folds keep groups together. A class with fewer rows than folds
    is left alone: nothing in it is flagged.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    y = np.asarray(labels)
    classes, dense, count = np.unique(y, return_inverse=True, return_counts=True)
    quality, flagged, suggested = np.ones(len(y)), np.zeros(len(y), bool), y.copy()
    if len(classes) < 2 or count.min() < FOLDS:
        return LabelIssues(quality, flagged, suggested)
    p = np.zeros((len(y), len(classes)))
    for train, held_out in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed).split(vectors, dense, groups):
        model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000).fit(vectors[train], dense[train])
        p[np.ix_(held_out, model.classes_)] = model.predict_proba(vectors[held_out])
    quality = np.clip(get_label_quality_scores(dense, p), 0, 1)
    flagged = find_label_issues(dense, p, n_jobs=1)
    return LabelIssues(quality, flagged, classes[p.argmax(1)])
