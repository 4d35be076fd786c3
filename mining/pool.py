"""Production rows with the target's scores and no labels: what it just let through, what is new, how much violates, what to
label next."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparring.errors import DataError

from .drift import Drift, drift
from .prevalence import Shifted, shifted, violations
from .selection.base import Pool
from .selection.select import Quota, Selection, select

PART = 0.25  # of the budget for rows of clusters that have grown


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows with labels that the target was not fitted on: `vectors` (m, d), `scores` (m, k), `labels` (m,), 0 is benign."""

    vectors: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """All rows by their numbers in the pool. `near_misses`: let through, the highest score first; `unscored`: rows for which
    the target gave no score, left out of all else; `notes`: what could not be said, and why."""

    near_misses: np.ndarray
    drift: Drift
    prevalence: Shifted | None
    next: Selection
    unscored: np.ndarray
    notes: tuple[str, ...]


def examine(
    vectors: np.ndarray, scores: np.ndarray, threshold: float, budget: int, *, labelled: Labelled, rare: int | None = None,
    strategy: str = "mixed", audit: float = 0.1, near: float = 0.95, misses: int = 100, seed: int = 0,
) -> Unlabelled:  # fmt: skip
    """(n, d) unit `vectors` and (n, k) `scores` of the pool; the target flags a row when 1 - P(benign) > `threshold`.

    A row of NaN scores is set apart; more than half of such rows is an error. What to label next comes from `select`: at
    least a quarter of the budget from clusters that have grown, the audit's random rows always. Raises `DataError` for no
    rows, wrong shapes, scores outside [0, 1].
    """
    if scores.ndim != 2 or len(scores) != len(vectors):
        raise DataError(f"expected scores of shape ({len(vectors)}, labels), got {scores.shape}")
    if not len(scores):
        raise DataError("expected rows in the pool, got none")
    failed = np.isnan(scores).all(1)
    if 2 * failed.sum() > len(scores):
        raise DataError(f"expected scores, got none for {failed.sum()} of {len(scores)} rows. Fix: score them again")
    rows = np.flatnonzero(~failed)
    kept, p = vectors[rows], scores[rows]
    score, before = violations(p, len(rows)), violations(labelled.scores, len(labelled.vectors))
    change = drift(labelled.vectors, kept, old_scores=before, new_scores=score, seed=seed)
    notes = [change.note] if change.note else []
    share = None
    try:
        share = shifted(before, labelled.labels > 0, score, threshold, seed=seed)
    except DataError as error:
        notes.append(f"no estimate of prevalence: {error}")
    chosen = select(
        Pool(kept, p, rare=rare), budget, strategy, audit=audit, near=near, seed=seed, quotas=_grown(change, budget)
    )  # fmt: skip
    passed = near_misses(score, threshold, misses)
    numbered = _numbered(change, rows, len(vectors))
    return Unlabelled(rows[passed], numbered, share, chosen.among(rows), np.flatnonzero(failed), tuple(notes))


def near_misses(score: np.ndarray, threshold: float, most: int = 100) -> np.ndarray:
    """Rows of (n,) scores that the target let through, the nearest to its threshold first."""
    passed = np.flatnonzero(score <= threshold)
    return passed[np.argsort(-score[passed], kind="stable")][:most]


def _grown(change: Drift, budget: int) -> list[Quota]:
    """A part of the budget, shared out by how much each cluster has grown; none above its rows."""
    grown = [c for c in change.clusters if c.new > c.old]
    total = sum(c.new - c.old for c in grown)
    least = {c.number: min(int(PART * budget * (c.new - c.old) / total), len(c.rows)) for c in grown}
    return [Quota("grown cluster", change.cluster, least)] if least else []


def _numbered(change: Drift, rows: np.ndarray, n: int) -> Drift:
    """With the pool's row numbers; -1 as the cluster of a row that was set apart."""
    cluster = np.full(n, -1)
    cluster[rows] = change.cluster
    return replace(change, cluster=cluster, clusters=tuple(replace(c, rows=rows[c.rows]) for c in change.clusters))
