"""Which given labels are likely wrong, and why: a queue for each given label."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sparring.errors import DataError

from . import channel
from . import views as views_
from .channel import Channel
from .views import Views

LOWEST, RISE = 0.075, 0.125  # see `_threshold`
NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class LabelIssues:
    """`score` (n,) float32 in [0, 1], high is suspect; `flagged` (n,) bool, those above 0.5; `suggested` (n,) int, the
    likeliest label; `votes` (n,) int, how many views find another label likelier. An unlabelled row, and one of which no view
    says anything, scores 0. `noise` is what the given labels' noise was estimated to be."""

    score: np.ndarray
    flagged: np.ndarray
    suggested: np.ndarray
    votes: np.ndarray
    noise: Channel
    views: Views

    @property
    def quality(self) -> np.ndarray:
        """(n,) 1 - score: low is suspect."""
        return 1 - self.score


@dataclass(frozen=True, slots=True)
class Objection:
    """A view that finds another label likelier; `strength` in [0, 1] is by how much."""

    view: str
    label: int
    strength: float


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why a row stands in a queue. Its nearest other rows, best first: numbers, cosines and given labels."""

    row: int
    given: int
    suggested: int
    score: float
    objections: tuple[Objection, ...]
    neighbours: tuple[int, ...]
    cosines: tuple[float, ...]
    neighbour_labels: tuple[int, ...]


def find(
    vectors: np.ndarray, labels: Sequence[int] | np.ndarray, groups: Sequence[int] | Sequence[str] | np.ndarray | None = None,
    *, seed: int, classes: int | None = None, scores: np.ndarray | None = None, extra: Mapping[str, np.ndarray] | None = None,
) -> LabelIssues:  # fmt: skip
    """Label issues from views made twice: of the given labels, then of labels corrected and weighed by what the first said.

    Arguments as `views.make` takes them. Each pass fits a `Channel`, which tells noise that hits every row alike from noise
    between labels that look alike, and each label's own rate; the mean of both passes' log odds ranks.
    """
    group = np.unique(np.asarray(groups), return_inverse=True)[1] if groups is not None else None
    make = functools.partial(views_.make, vectors, groups=group, scores=scores, extra=extra)
    first = make(labels, classes=classes, seed=seed)
    y = np.asarray(labels, np.int64)
    _, before = _truth(first, y, seed)
    wrong = _wrong(before, y)
    better = np.where(wrong > 0.5, before.argmax(1), y) if before.size else y
    second = make(better, classes=before.shape[1], trust=np.maximum(wrong, 1 - wrong), seed=seed + 1)
    noise, after = _truth(second, y, seed)
    return _issues(second, y, [before, after], noise)


def from_views(views: Views, labels: Sequence[int] | np.ndarray, *, seed: int) -> LabelIssues:
    """Label issues from out-of-fold predictions that there are already, nothing fitted again but the noise."""
    y = views_.checked_labels(labels, views.probabilities.shape[1])
    if len(y) and y.max() >= views.probabilities.shape[2]:
        raise DataError(f"expected labels below {views.probabilities.shape[2]}, the views' classes; got {int(y.max())}")
    noise, truth = _truth(views, y, seed)
    return _issues(views, y, [truth], noise)


def queues(found: LabelIssues, labels: np.ndarray, budget: int | Mapping[int, int] | None = None) -> dict[int, np.ndarray]:
    """Given label -> its flagged rows, worst first, each cut at its own budget (one for all, or label -> budget, None for all).

    Under a policy, queue 0 holds missed violations and the others over-enforcement. Scores of one queue compare with one
    another: no queue is emptied by a commoner mistake elsewhere.
    """
    y = np.asarray(labels)
    out = {}
    for label in np.unique(y[found.flagged]).tolist():
        rows = np.flatnonzero(found.flagged & (y == label))
        limit = budget.get(label) if isinstance(budget, Mapping) else budget
        out[label] = rows[np.argsort(-found.score[rows], kind="stable")][:limit]
    return out


def reasons(
    found: LabelIssues, vectors: np.ndarray, labels: np.ndarray, rows: Sequence[int] | np.ndarray, *, near: int = NEIGHBOURS
) -> list[Reasons]:
    """Why each of `rows` is suspect; the search for neighbours is exact over all rows."""
    from sparring.embed import unit
    from sparring.index import Index

    rows, y = np.asarray(rows, np.int64), np.asarray(labels)
    if not len(rows):
        return []
    x = unit(np.asarray(vectors, np.float32))
    cosine, other = Index(x).nearest(x[rows], near + 1)
    out = []
    for i, row in enumerate(rows.tolist()):
        keep = [j for j in range(near + 1) if other[i, j] not in (row, -1)][:near]
        close = other[i, keep]
        given, objections = int(y[row]), _objections(found.views, row, int(y[row]))
        nearest = tuple(close.tolist()), tuple(cosine[i, keep].round(4).tolist()), tuple(y[close].tolist())
        out.append(Reasons(row, given, int(found.suggested[row]), float(found.score[row]), objections, *nearest))
    return out


def _objections(views: Views, row: int, given: int) -> tuple[Objection, ...]:
    said = []
    for name, p in zip(views.names, views.probabilities[:, row], strict=True):
        if given >= 0 and not np.isnan(p[0]) and p.argmax() != given:
            said.append(Objection(name, int(p.argmax()), float(p.max() - p[given])))
    return tuple(sorted(said, key=lambda o: -o.strength))


def _truth(views: Views, y: np.ndarray, seed: int) -> tuple[Channel, np.ndarray]:
    linear = [i for i, name in enumerate(views.names) if name in views_.LINEAR]
    confusion = Views((), views.probabilities[linear]).mean if linear else views.mean
    noise = channel.fit(views.probabilities, y, confusion, seed=seed)
    return noise, noise.truth(views.probabilities, y, confusion)


def _wrong(truth: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n,) the probability that the given label is not the true one; 0 for an unlabelled row."""
    if not truth.size:
        return np.zeros(len(y), np.float32)
    return np.where(y >= 0, 1 - truth[np.arange(len(y)), y], 0).clip(0, 1)


def _threshold(noise: Channel) -> float:
    """From which probability of being wrong a row is flagged: 0.075 where noise is between labels that look alike, 0.2 where
    it is even, 0.14 where two labels cannot tell.

    A channel has one rate for all rows, while noise of the first kind is denser where labels meet: the estimate there is too
    low, by a factor measured on other seeds and data than are reported (docs/design/label_issues.md).
    """
    return LOWEST + RISE * noise.even


def _issues(views: Views, y: np.ndarray, truths: list[np.ndarray], noise: Channel) -> LabelIssues:
    wrong = np.stack([_wrong(truth, y) for truth in truths]).astype(np.float64).clip(1e-9, 1 - 1e-9)
    cut = _threshold(noise)
    odds = np.log(wrong / (1 - wrong)).mean(0) - np.log(cut / (1 - cut))
    silent = (y < 0) | np.isnan(views.probabilities[:, :, :1]).all((0, 2))
    score = np.where(silent, 0, 1 / (1 + np.exp(-odds))).astype(np.float32)
    flagged = score > 0.5
    truth = np.mean(truths, axis=0)
    truth[flagged, y[flagged]] = -1
    suggested = truth.argmax(1) if truth.size else y.copy()
    suggested[silent & (y >= 0)] = y[silent & (y >= 0)]
    spoken = ~np.isnan(views.probabilities[:, :, 0]) if truth.size else np.zeros((len(views.names), len(y)), bool)
    likeliest = np.nan_to_num(views.probabilities).argmax(2) if truth.size else np.zeros(spoken.shape, int)
    votes = (spoken & (likeliest != y) & (y >= 0)).sum(0)
    return LabelIssues(score, flagged, suggested, votes, noise, views)
