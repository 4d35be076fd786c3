"""Out-of-fold predictions of a row from several independent views."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparring import engines
from sparring.errors import DataError

from . import folds

FOLDS = 5
SPREAD = 20_000  # rows from which a fold is worth a worker of its own
NEIGHBOURS = (5, 15)
MOST = 100_000  # rows that a fold learns from
LINEAR = ("lr", "lr_balanced")
NAMES = (*LINEAR, *(f"knn_{k}" for k in NEIGHBOURS))
ALMOST = 0.02  # by how much a row of probabilities may miss 1


@dataclass(frozen=True, slots=True)
class Views:
    """`probabilities` (v, n, k) float32, a view each, its rows out of fold; a row of NaN where a view abstains. `notes` say
    what could not be done as asked."""

    names: tuple[str, ...]
    probabilities: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def mean(self) -> np.ndarray:
        """(n, k) float32: over the views that speak; equal where none does."""
        spoken = ~np.isnan(self.probabilities[:, :, :1])
        total = np.where(spoken, self.probabilities, 0).sum(0)
        count, k = spoken.sum(0), total.shape[1]
        return np.where(count > 0, total / np.maximum(count, 1), 1 / max(k, 1)).astype(np.float32)

    def joined(self, name: str, probabilities: np.ndarray) -> Views:
        """With one view more, (n, k); raises `DataError` as `checked` does."""
        p = checked(probabilities, self.probabilities.shape[1:], name)
        return replace(self, names=(*self.names, name), probabilities=np.concatenate([self.probabilities, p[None]]))


def make(
    vectors: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    *,
    seed: int,
    groups: Sequence[int] | np.ndarray | None = None,
    classes: int | None = None,
    scores: np.ndarray | None = None,
    extra: Mapping[str, np.ndarray] | None = None,
    trust: np.ndarray | None = None,
    most: int = MOST,
) -> Views:
    """Logistic regression, the same with balanced classes, and the votes of the nearest rows at two k, in `FOLDS` folds that
    keep groups together; then the target's own `scores` and `extra` views where given.

    `vectors` (n, d); `labels` (n,), -1 is unlabelled: predicted and never learned from. `classes` is k, by default as many as
    scores, extra views and labels show. `trust` (n,) in [0, 1] weighs a row where it teaches. A fold learns from at most `most`
    rows, drawn by the seed. The search for neighbours is exact among these.

    A row is not judged by views whose training rows lack its given label: they would only say that they do not know it.
    `scores` of a target that was trained on these very labels repeat what it was told. Raises `DataError` on bad input.
    """
    x, y = _vectors(vectors), checked_labels(labels, len(vectors))
    given = {**({"target": scores} if scores is not None else {}), **(extra or {})}
    widths = [np.shape(p)[-1] for p in given.values() if np.ndim(p) == 2]
    k = classes if classes is not None else max([1, int(y.max(initial=-1)) + 1, *widths])
    if len(y) and y.max() >= k:
        raise DataError(f"expected labels below {k}, the number of classes; got {int(y.max())}")
    views = Views(NAMES, np.full((len(NAMES), len(y), k), np.nan, np.float32))
    views = replace(views, notes=_fill(views.probabilities, x, y, groups, trust, most, seed))
    for name, p in given.items():
        if name in views.names:
            raise DataError(f"expected a view's name other than {', '.join(views.names)}; got {name!r}")
        views = views.joined(name, p)
    return views


def expect(probabilities: np.ndarray, labels: np.ndarray, vectors: np.ndarray) -> None:
    """Raises `DataError` unless labels fit the views (v, n, k), whose rows sum to 1 or are all NaN, and vectors are finite."""
    p, y = probabilities, labels
    if len(y) and (y.min() < -1 or y.max() >= p.shape[2]):
        raise DataError(
            f"expected labels from -1 to {p.shape[2] - 1}, got {y.min()} to {y.max()}. Fix: number them, -1 for none"
        )
    if not np.isfinite(vectors).all():
        raise DataError("expected finite vectors, got NaN or infinity. Fix: embed these rows again")
    present = p[~np.isnan(p).all(2)]
    off = np.abs(present.sum(1) - 1) > 0.01 if len(present) else np.zeros(0, bool)
    if np.isnan(present).any() or off.any() or (present < -1e-6).any():
        raise DataError("expected each view's row to be probabilities that sum to 1, or NaN throughout where it abstains")


def checked(probabilities: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """(n, k) float32. Raises `DataError` unless each row is probabilities of sum 1, or all NaN."""
    p = np.asarray(probabilities, np.float32)
    if p.shape != tuple(shape):
        raise DataError(f"view {name!r}: expected predictions of shape {tuple(shape)}; got {p.shape}")
    silent = np.isnan(p).all(1) if p.size else np.zeros(len(p), bool)
    if not np.isfinite(p[~silent]).all():
        bad = int((~np.isfinite(p[~silent]).all(1)).sum())
        raise DataError(
            f"view {name!r}: expected numbers, or NaN in the whole row to abstain; {bad} rows hold some NaN or infinity"
        )
    off = ~silent & ((p < -1e-6).any(1) | (np.abs(p.sum(1) - 1) > ALMOST)) if p.size else silent
    if off.any():
        row = int(off.argmax())
        raise DataError(
            f"view {name!r}: expected rows of probabilities that sum to 1; {int(off.sum())} of {len(p)} do not, row {row} sums "
            f"to {p[row].sum():.3g}. Fix: for scores that are independent per label, views.normalised(scores)"
        )
    return p


def normalised(scores: np.ndarray) -> np.ndarray:
    """(n, k) float32 of sum 1, of scores >= 0 that are independent per label; equal where all are 0."""
    p = np.asarray(scores, np.float32)
    if p.ndim != 2 or (p < 0).any():
        raise DataError(f"expected scores of shape (n, k), none below 0; got shape {p.shape}")
    total = p.sum(1, keepdims=True)
    return np.where(total > 0, p / np.where(total > 0, total, 1), 1 / max(p.shape[1], 1)).astype(np.float32)


def _vectors(vectors: np.ndarray) -> np.ndarray:
    if np.ndim(vectors) != 2:
        raise DataError(f"expected vectors of shape (n, d); got {np.shape(vectors)}")
    for start in range(0, len(vectors), MOST):
        if not np.isfinite(vectors[start : start + MOST]).all():
            raise DataError(
                f"expected vectors without NaN or infinity; rows from {start} hold some. Fix: embed these rows again"
            )
    return vectors


def checked_labels(labels: Sequence[int] | np.ndarray, n: int) -> np.ndarray:
    """(n,) int64; raises `DataError` on another shape, on what is no number, and below -1."""
    y = np.asarray(labels)
    if y.shape != (n,):
        raise DataError(f"expected a label for each of {n} rows of vectors; got shape {y.shape}")
    if len(y) and (not np.issubdtype(y.dtype, np.integer) or y.min() < -1):
        raise DataError(f"expected labels as numbers from 0, -1 for unlabelled; got {y.dtype} from {y.min()}")
    return y.astype(np.int64)


def _fill(
    out: np.ndarray, x: np.ndarray, y: np.ndarray, groups: Sequence[int] | np.ndarray | None, trust: np.ndarray | None,
    most: int, seed: int,
) -> tuple[str, ...]:  # fmt: skip
    """Writes each fold's predictions; returns the notes."""
    weight = np.ones(len(y), np.float32) if trust is None else np.asarray(trust, np.float32)
    if weight.shape != y.shape or not ((weight >= 0) & (weight <= 1)).all():
        raise DataError(f"expected a trust in [0, 1] for each of {len(y)} rows; got shape {weight.shape}")
    fold = folds.deal(y, groups, FOLDS, seed=seed)
    taught = (y >= 0) & (weight > 0)
    rng, lacking, notes = np.random.default_rng([seed, 1]), 0, []
    pieces: list[tuple[np.ndarray, np.ndarray]] = []
    unknown: list[np.ndarray] = []
    for number in range(FOLDS):
        held, train = np.flatnonzero(fold == number), np.flatnonzero((fold != number) & taught)
        if not len(held):
            continue
        if len(train) > most:
            notes = [f"a fold learns from {most} of its {len(train)} rows"]
            train = np.sort(rng.choice(train, most, replace=False))
        if len(np.unique(y[train])) > 1:
            pieces.append((train, held))
        unknown.append(held[(y[held] >= 0) & ~np.isin(y[held], y[train])])
    few = FOLDS if len(y) < SPREAD else 1
    for number, found in engines.current().each(_Fold(x, y, weight, out.shape[2]), pieces, few=few):
        out[:, pieces[number][1]] = found
    for rows in unknown:
        lacking += len(rows)
        out[:, rows] = np.nan
    if len(y) and len(np.unique(y[taught])) < 2:
        return (*notes, "the rows that may teach hold one class or none: every learned view abstains")
    if lacking:
        notes.append(f"{lacking} rows have a label that no other fold holds (a class in one group only): learned views abstain")
    return tuple(notes)


@dataclass(frozen=True)
class _Fold:
    """(training rows, held-out rows) -> (views, held, k) of the held-out ones, in a process that is given everything once."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    k: int

    def __call__(self, rows: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        train, held = rows
        out = np.empty((len(NAMES), len(held), self.k), np.float32)
        fit, ask = np.array(self.x[train], np.float32), np.array(self.x[held], np.float32)
        y, weight = self.y[train], self.weight[train]
        for view, votes in enumerate(_votes(fit, ask, y, weight, self.k), NAMES.index(f"knn_{NEIGHBOURS[0]}")):
            out[view] = votes
        centre = fit.mean(0)
        fit -= centre
        scale = max(float(np.sqrt((fit**2).sum(1).mean())), 1e-6)  # so that C means the same for every embedder
        fit /= scale
        ask -= centre
        ask /= scale
        kinds = (LogisticRegression(C=1.0, max_iter=300), LogisticRegression(C=10.0, class_weight="balanced", max_iter=300))
        for view, model in enumerate(kinds):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                warnings.filterwarnings("ignore", "The number of unique classes")  # few rows a class are what the votes are for
                model.fit(fit, y, weight)
            out[view] = 0
            out[view][:, model.classes_] = model.predict_proba(ask)
        return out


def _votes(fit: np.ndarray, ask: np.ndarray, y: np.ndarray, weight: np.ndarray, k: int) -> list[np.ndarray]:
    """(held, k) for each of `NEIGHBOURS`: the nearest rows' votes by weight, and one vote spread as the classes are."""
    from sparring.embed import unit
    from sparring.index import Index

    row = Index(unit(fit)).nearest(unit(ask), min(max(NEIGHBOURS), len(fit)))[1]
    prior = np.bincount(y, weight, minlength=k) / max(weight.sum(), 1e-9)
    out, total = [], np.zeros((len(ask), k), np.float32)
    for near in range(row.shape[1]):
        np.add.at(total, (np.arange(len(ask)), y[row[:, near]]), weight[row[:, near]])
        if near + 1 in NEIGHBOURS:
            out.append((total + prior) / (total.sum(1, keepdims=True) + 1))
    while len(out) < len(NEIGHBOURS):  # fewer rows than k
        out.append((total + prior) / (total.sum(1, keepdims=True) + 1))
    return out
