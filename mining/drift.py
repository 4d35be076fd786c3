"""Whether new rows look like old ones: as a whole, in the target's scores, and cluster by cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparring.errors import DataError

from .probe.stats import holm
from .selection.base import finite

FEWEST, MOST = 20, 20_000  # rows of a side: below, nothing is said; above, a random sample speaks for it
BINS = 10
SIGNIFICANT = 0.01


@dataclass(frozen=True, slots=True)
class TwoSample:
    """How well a classifier tells the two sides apart on rows that it was not fitted on: `auc` with its 95% interval, and the
    chance of such an AUC between two samples of one source, `p`."""

    auc: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class ScoreShift:
    """Kolmogorov and Smirnov's `distance` with its `p`; `psi`, the population stability index over tenths of the old scores
    (by custom, above 0.1 is some and above 0.25 much)."""

    distance: float
    p: float
    psi: float


@dataclass(frozen=True, slots=True)
class Cluster:
    """A region whose share differs: of the `old` rows, of the `new` ones; `p` is Holm's over all clusters; `rows` (m,) its new
    rows, the most central first."""

    number: int
    old: float
    new: float
    p: float
    rows: np.ndarray


@dataclass(frozen=True, slots=True)
class Drift:
    """`clusters`: those that differ, the most grown first; `cluster` (n,) each new row's; `note`: why nothing was measured."""

    vectors: TwoSample | None
    scores: ScoreShift | None
    clusters: tuple[Cluster, ...]
    cluster: np.ndarray
    note: str = ""


def drift(
    old: np.ndarray, new: np.ndarray, *, old_scores: np.ndarray | None = None, new_scores: np.ndarray | None = None,
    clusters: int = 20, seed: int = 0,
) -> Drift:  # fmt: skip
    """Between (m, d) and (n, d) unit vectors, and (m,) and (n,) scores where there are any.

    Copies count as rows of their own, so a flood of near duplicates is drift; give one row of a group to look past it. Fewer
    than 20 rows on a side: a note and no figure. Raises `DataError` for wrong shapes and for values that are no numbers.
    """
    if old.ndim != 2 or new.ndim != 2 or old.shape[1] != new.shape[1]:
        raise DataError(
            f"expected two sets of vectors of one width, got {old.shape} and {new.shape}. Fix: one embedder for both"
        )
    if not finite(old) or not finite(new):
        raise DataError("expected vectors of finite numbers, got NaN or infinity. Fix: drop or embed these rows again")
    if min(len(old), len(new)) < FEWEST:
        note = f"drift needs {FEWEST} rows on each side, got {len(old)} and {len(new)}"
        return Drift(None, None, (), np.zeros(len(new), np.int64), note)
    scores = score_shift(old_scores, new_scores) if old_scores is not None and new_scores is not None else None
    found, cluster = drifted(old, new, clusters=clusters, seed=seed)
    return Drift(two_sample(old, new, seed=seed), scores, found, cluster)


def two_sample(old: np.ndarray, new: np.ndarray, *, seed: int = 0) -> TwoSample:
    """Classifier two-sample test (Lopez-Paz and Oquab 2017): logistic regression on half of the rows, judged on the others.

    Both halves take their turn. A half is independent of the fit on the other, so the rank test of Mann and Whitney holds for
    its scores; of the two p the smaller counts, doubled.
    """
    from scipy.stats import mannwhitneyu
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(seed)
    halves = list(zip(*(np.array_split(rng.permutation(_sampled(side, rng)), 2) for side in (old, new)), strict=True))
    found, p, draws = [], [], np.zeros(200)
    for fit, judge in (halves, halves[::-1]):
        model = LogisticRegression(class_weight="balanced", max_iter=1000)
        model.fit(np.concatenate(fit), np.repeat([0, 1], [len(side) for side in fit]))
        a, b = (model.decision_function(side) for side in judge)
        found.append(_auc(a, b))
        p.append(float(mannwhitneyu(b, a, alternative="greater").pvalue))
        draws += [_auc(rng.choice(a, len(a)), rng.choice(b, len(b))) for _ in draws]
    low, high = np.percentile(draws / 2, [2.5, 97.5])
    return TwoSample(float(np.mean(found)), float(low), float(high), min(1.0, 2 * min(p)))


def score_shift(old: np.ndarray, new: np.ndarray) -> ScoreShift:
    from scipy.stats import ks_2samp

    if not np.isfinite(old).all() or not np.isfinite(new).all():
        raise DataError("expected finite scores, got NaN or infinity. Fix: leave rows without a score out")
    test = ks_2samp(old, new)
    edges = np.unique(np.quantile(old, np.linspace(0, 1, BINS + 1)[1:-1]))
    shares = [np.bincount(np.searchsorted(edges, s, side="left"), minlength=len(edges) + 1) + 0.5 for s in (old, new)]
    a, b = (share / share.sum() for share in shares)  # half a row more in each: an empty one has no logarithm
    return ScoreShift(float(test.statistic), float(test.pvalue), float(((b - a) * np.log(b / a)).sum()))


def drifted(old: np.ndarray, new: np.ndarray, *, clusters: int = 20, seed: int = 0) -> tuple[tuple[Cluster, ...], np.ndarray]:
    """k-means over both sides; the clusters whose share of the new rows differs (Fisher's exact test), and each new row's.

    There are at most as many clusters as distinct rows, and 20 rows to a cluster on average at least.
    """
    from scipy.stats import fisher_exact
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(seed)
    both = np.concatenate([_sampled(old, rng), _sampled(new, rng)])
    distinct = len(np.unique(both[:: max(1, len(both) // 1000)], axis=0))  # of a thousand rows: enough to see a flood of copies
    k = max(1, min(clusters, len(both) // FEWEST, distinct))
    model = KMeans(k, n_init=1, random_state=seed).fit(both)
    a, b = model.predict(old), model.predict(new)
    before, after = np.bincount(a, minlength=k), np.bincount(b, minlength=k)
    p = holm([fisher_exact([[x, len(a) - x], [y, len(b) - y]])[1] for x, y in zip(before, after, strict=True)])
    found = []
    for number in np.flatnonzero(np.array(p) < SIGNIFICANT):
        rows = np.flatnonzero(b == number)
        centre = ((new[rows] - model.cluster_centers_[number]) ** 2).sum(1)
        was, is_now = float(before[number] / len(a)), float(after[number] / len(b))
        found.append(Cluster(int(number), was, is_now, float(p[number]), rows[np.argsort(centre, kind="stable")]))
    return tuple(sorted(found, key=lambda c: (c.old - c.new, c.number))), b.astype(np.int64)


def _sampled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All rows, or a random `MOST` of them in order."""
    if len(values) <= MOST:
        return np.asarray(values)
    return values[np.sort(rng.choice(len(values), MOST, replace=False))]


def _auc(negative: np.ndarray, positive: np.ndarray) -> float:
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    return float((ranks.sum() - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative)))
