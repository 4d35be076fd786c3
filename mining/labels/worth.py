"""What a review is worth: errors found and F1 after the first N rows of a queue, read off canaries planted into the labels.

A queue holds the rows of one *given* label, most suspect first. Canaries are only as good as the noise they imitate: whoever
mislabels at the boundary is found later than canaries planted anywhere. So the three noises stand beside one another, and
`Worth.cautious` is the lowest of them. Few canaries find a scorer that has learned from right labels about them, while real
errors are many and teach it: so the whole error is played again, on labels cleaned by the model, and that is what is expected;
the bounds hold what the few canaries say too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparring.errors import DataError

from ..probe.stats import wilson
from ..selection.base import finite
from .canaries import NOISES, deal, out_of_fold, plant

Scorer = Callable[[np.ndarray], np.ndarray]
"""(n,) labels -> (n,) how suspect each is, higher is more; asked again for every planting."""

SHARE, FEWEST, MOST = 0.02, 20, 0.1  # canaries of a queue: of its rows, at least, and of the rows that they are taken from
DEPTHS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)  # of the F1 curve, in estimated errors


@dataclass(frozen=True, slots=True)
class Curve:
    """One queue under one noise: after `reviewed` (m,) rows `found` (m,) errors are expected, between `low` and `high`.

    That is 95% over the canaries, few or as many as errors are estimated; what is uncertain about `errors`, how many there are
    in all, comes on top.
    """

    noise: str
    queue: int
    errors: float
    canaries: int
    reviewed: np.ndarray
    found: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, slots=True)
class Gain:
    """F1 of a balanced logistic regression (macro, without benign) retrained after `reviewed` (m,) rows, of all queues in
    proportion to their errors. It is held against labels cleaned by the model: read its rise rather than its height.
    """

    noise: str
    reviewed: np.ndarray
    f1: np.ndarray


@dataclass(frozen=True, slots=True)
class Worth:
    curves: tuple[Curve, ...]
    gains: tuple[Gain, ...]
    errors: Mapping[int, float]

    def cautious(self, queue: int) -> Curve:
        """The noise under which the fewest errors are found, over the whole curve."""
        of = [curve for curve in self.curves if curve.queue == queue]
        if not of:
            raise DataError(f"expected a queue out of {sorted({c.queue for c in self.curves})}, got {queue}")
        return min(of, key=lambda curve: float(curve.found.sum()))


def worth(
    labels: np.ndarray, vectors: np.ndarray, scorer: Scorer, *, errors: Mapping[int, float] | None = None,
    groups: np.ndarray | None = None, reviewed: Sequence[int] = (), noises: Sequence[str] = NOISES, plantings: int = 3,
    benign: int = 0, seed: int = 0,
) -> Worth:  # fmt: skip
    """Curves for every queue and noise, from (n,) given labels and (n, d) vectors.

    `errors`: how many labels of each queue are wrong, best from an audit (`mining.selection.audit`); else confident learning's
    count (Northcutt et al. 2021), which takes hard rows for wrong ones. `reviewed`: the depths, by default twelve up to four
    times the errors. `scorer` is asked 1 + 2 * plantings * noises times. Raises `DataError` for wrong shapes and for labels of
    one kind.
    """
    y = _checked(labels, vectors)
    p = out_of_fold(vectors, y, groups, seed=seed)
    count = dict(errors) if errors is not None else estimated(y, p)
    score = _scores(scorer, y)
    suspect = np.zeros(len(y), bool)  # as likely wrong as not: a canary there would be a label put right
    for queue, wrong in count.items():
        suspect[_queue(y, score, queue)[: round(wrong)]] = True
    curves, gains = [], []
    for noise in noises:
        ranks: dict[int, list[np.ndarray]] = {}
        for planting in range(plantings):
            rng = np.random.default_rng([seed, planting])
            copy, rows = plant(y, _few(y, ~suspect), noise, p, rng=rng, benign=benign, allowed=~suspect)
            for queue, found in _ranks(_scores(scorer, copy), copy, rows).items():
                ranks.setdefault(queue, []).append(found)
        gain, replayed = _replay(y, vectors, scorer, noise, count, p, score, groups, plantings, benign, seed)
        gains.append(gain)
        for queue, found_at in sorted(ranks.items()):
            depths = np.array(reviewed or _depths(count.get(queue, 0.0), int((y == queue).sum())), np.int64)
            curve = _curve(noise, queue, count.get(queue, 0.0), np.concatenate(found_at), depths)
            if (again := replayed.get(queue)) is not None:
                curve = _wider(_curve(noise, queue, curve.errors, again, depths), curve)
            curves.append(curve)
    return Worth(tuple(curves), tuple(gains), count)


def estimated(labels: np.ndarray, p: np.ndarray) -> dict[int, float]:
    """How many labels of each queue are wrong, by the calibrated confident joint of out-of-fold probabilities."""
    from cleanlab.count import compute_confident_joint

    classes, dense = np.unique(labels, return_inverse=True)
    mine = p[:, classes] / p[:, classes].sum(1, keepdims=True)
    joint = compute_confident_joint(dense, mine, calibrate=True)
    return {int(label): float(row.sum() - row[i]) for i, (label, row) in enumerate(zip(classes, joint, strict=True))}


def _few(labels: np.ndarray, allowed: np.ndarray) -> dict[int, int]:
    """Canaries of each queue: few, so that the scorer sees nearly the labels that it will see."""
    out = {}
    for queue in np.unique(labels):
        sources, size = int((allowed & (labels != queue)).sum()), int((labels == queue).sum())
        out[int(queue)] = max(1, min(max(FEWEST, round(SHARE * size)), int(MOST * sources)))
    return out


def _ranks(score: np.ndarray, labels: np.ndarray, canaries: np.ndarray) -> dict[int, np.ndarray]:
    """queue -> how many rows that are no canaries stand before each canary."""
    out = {}
    for queue in np.unique(labels[canaries]):
        mine = canaries[labels[canaries] == queue]
        others = np.sort(-np.delete(score, canaries)[np.delete(labels, canaries) == queue])
        out[int(queue)] = np.searchsorted(others, -score[mine], side="left")
    return out


def _curve(noise: str, queue: int, errors: float, ranks: np.ndarray, depths: np.ndarray) -> Curve:
    recall = np.array([wilson(int((ranks < depth).sum()), len(ranks))[:3] for depth in depths])
    found, low, high = errors * recall.T
    return Curve(noise, queue, errors, len(ranks), depths, *(np.minimum(part, depths) for part in (found, low, high)))


def _wider(replayed: Curve, few: Curve) -> Curve:
    """The curve of the whole error, with bounds that hold those of the few canaries."""
    low, high = np.minimum(replayed.low, few.low), np.maximum(replayed.high, few.high)
    return replace(replayed, canaries=few.canaries + replayed.canaries, low=low, high=high)


def _replay(
    y: np.ndarray, vectors: np.ndarray, scorer: Scorer, noise: str, count: Mapping[int, float], p: np.ndarray,
    score: np.ndarray, groups: np.ndarray | None, plantings: int, benign: int, seed: int,
) -> tuple[Gain, dict[int, np.ndarray]]:  # fmt: skip
    """The whole error is played again: labels cleaned by the model, as many flips planted, reviewed in the scorer's order.

    Beside the gain, queue -> how many rows of it, other flips among them, stand before each flip.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score

    clean = y.copy()
    for queue, wrong in count.items():
        rows = _queue(y, score, queue)[: round(wrong)]
        clean[rows] = np.where(np.arange(p.shape[1]) == queue, -1, p[rows]).argmax(1)
    total, curves = sum(count.values()), []
    ranks: dict[int, list[np.ndarray]] = {}
    depths = np.unique([round(share * total) for share in DEPTHS])
    kept = [label for label in np.unique(clean) if label != benign]
    for planting in range(plantings):
        rng = np.random.default_rng([seed, planting, 1])
        noisy, flipped = plant(clean, {q: round(e) for q, e in count.items()}, noise, p, rng=rng, benign=benign)
        again = _scores(scorer, noisy)
        for queue in np.unique(noisy[flipped]).tolist():
            ranks.setdefault(queue, []).append(np.flatnonzero(np.isin(_queue(noisy, again, queue), flipped)))
        held_out = deal(clean, groups, seed=seed + planting) == 0
        values = []
        for depth in depths:
            fixed = noisy.copy()
            for queue, wrong in count.items():
                rows = _queue(noisy, again, queue)[: round(depth * wrong / total) if total else 0]
                fixed[rows] = clean[rows]
            model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
            model.fit(vectors[~held_out], fixed[~held_out])
            said = model.predict(vectors[held_out])
            values.append(f1_score(clean[held_out], said, labels=kept, average="macro", zero_division=0.0))
        curves.append(values)
    return Gain(noise, depths, np.mean(curves, axis=0)), {queue: np.concatenate(found) for queue, found in ranks.items()}


def _queue(labels: np.ndarray, score: np.ndarray, queue: int) -> np.ndarray:
    """Rows of a given label, most suspect first."""
    rows = np.flatnonzero(labels == queue)
    return rows[np.argsort(-score[rows], kind="stable")]


def _depths(errors: float, size: int) -> list[int]:
    most = min(size, max(12, round(4 * errors)))
    return sorted({round(most * i / 12) for i in range(1, 13)})


def _scores(scorer: Scorer, labels: np.ndarray) -> np.ndarray:
    score = np.asarray(scorer(labels), np.float64)
    if score.shape != labels.shape or not np.isfinite(score).all():
        raise DataError(f"expected a scorer that gives {len(labels)} finite numbers, one a row; it gave {score.shape}, or NaN")
    return score


def _checked(labels: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    y = np.asarray(labels)
    if y.ndim != 1 or len(y) != len(vectors) or not np.issubdtype(y.dtype, np.integer) or (len(y) and y.min() < 0):
        raise DataError(f"expected a label, 0 or above, for each of {len(vectors)} vectors; got {y.dtype} of shape {y.shape}")
    if len(np.unique(y)) < 2:
        raise DataError(
            f"expected rows of two labels or more, got {len(y)} rows of {len(np.unique(y))}: nothing can be flipped"
        )
    if not finite(vectors):
        raise DataError("expected vectors of finite numbers, got NaN or infinity. Fix: drop or embed these rows again")
    return y.astype(np.int64)
