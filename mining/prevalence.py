"""How much of an unlabelled pool violates, and how precise the target is there, when only the mix of labels has changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparring.errors import DataError
from sparring.protocols import violation

from .selection.audit import Estimate
from .selection.base import check_probabilities

DRAWS = 200
ROUNDS, CLOSE = 1000, 1e-8


@dataclass(frozen=True, slots=True)
class Shifted:
    """Three estimates of the violating share: `counted` above the threshold, as it is; `bbse`, undoing the target's own errors;
    `em`, from calibrated scores. `precision` and `recall` at the threshold, under `bbse`.

    The last two hold under label shift: each label's rows look as they did, only their shares changed. Where `bbse` and `em`
    disagree it has not held (or scores are not calibrated), and audit labels alone can be trusted.
    """

    counted: float
    bbse: Estimate
    em: Estimate
    precision: Estimate
    recall: float


def shifted(
    labelled: np.ndarray, violating: np.ndarray, pool: np.ndarray, threshold: float, *, seed: int = 0
) -> Shifted:  # fmt: skip
    """From the target's scores (1 - P(benign)) of (m,) labelled rows that it was not fitted on, and of (n,) rows of the pool.

    Intervals: 95%, percentile bootstrap over both. Raises `DataError` for scores outside [0, 1] or not numbers, for labelled
    rows of one kind, and for a target that flags as much of the benign rows as of the violating ones.
    """
    a, b, y = _scores(labelled, "labelled"), _scores(pool, "unlabelled"), np.asarray(violating, bool)
    if y.shape != a.shape:
        raise DataError(f"expected a label for each of {len(a)} labelled rows, got {y.shape}")
    if y.all() or not y.any():
        raise DataError(f"expected labelled rows of both kinds, got {int(y.sum())} violating of {len(y)}")
    if not len(b):
        raise DataError("expected rows in the pool, got none")
    flagged, flagged_pool = a > threshold, b > threshold
    recall, fpr = flagged[y].mean(), flagged[~y].mean()
    if recall - fpr < 0.05:
        raise DataError(
            f"expected a target that tells labels apart at {threshold:.3g}; it flags {recall:.1%} of the violating labelled "
            f"rows and {fpr:.1%} of the benign. Fix: another threshold, or estimate from audit labels"
        )
    counted = float(flagged_pool.mean())
    prior = float(y.mean())
    value, em = bbse(counted, recall, fpr), saerens(b, prior)
    rng, drawn = np.random.default_rng(seed), []
    positive, negative = a[y], a[~y]
    for _ in range(DRAWS):  # each kind of its own: their shares among the labelled rows are by design
        pool_draw = rng.choice(b, len(b))
        tpr, false = (rng.binomial(len(s), (s > threshold).mean()) / len(s) for s in (positive, negative))
        share = bbse(float((pool_draw > threshold).mean()), tpr, false) if tpr > false else np.nan
        drawn.append((share, saerens(pool_draw, prior), precise(share, tpr, false)))
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0)
    values = (value, em, precise(value, recall, fpr))
    adjusted, by_em, precision = (
        Estimate(v, float(lo), float(hi), len(b)) for v, lo, hi in zip(values, low, high, strict=True)
    )
    return Shifted(counted, adjusted, by_em, precision, float(recall))


def bbse(counted: float, recall: float, fpr: float) -> float:
    """Black-box shift estimation (Lipton et al. 2018) with two labels: the adjusted count of Forman (2008), cut to [0, 1]."""
    return float(np.clip((counted - fpr) / (recall - fpr), 0, 1))


def saerens(scores: np.ndarray, prior: float) -> float:
    """Expectation maximisation over the prior (Saerens et al. 2002): (n,) calibrated scores from a source of that `prior`."""
    share = prior
    for _ in range(ROUNDS):
        up, down = scores * share / prior, (1 - scores) * (1 - share) / (1 - prior)
        new = float((up / np.maximum(up + down, 1e-300)).mean())
        if abs(new - share) < CLOSE:
            break
        share = new
    return new


def precise(share: float, recall: float, fpr: float) -> float:
    """The share of flagged rows that violate, at a prevalence; NaN where nothing is flagged."""
    flagged = share * recall + (1 - share) * fpr
    return share * recall / flagged if flagged > 0 else float("nan")


def violations(scores: np.ndarray, n: int) -> np.ndarray:
    """(n,) 1 - P(benign), of the target's (n, k) scores, or as they are where they are (n,)."""
    if scores.shape == (n,):
        return _scores(scores, "given").astype(np.float32)
    check_probabilities(scores, n)
    return violation(scores)


def _scores(scores: np.ndarray, which: str) -> np.ndarray:
    out = np.asarray(scores, np.float64)
    if out.ndim != 1:
        raise DataError(f"expected {which} scores of shape (n,), got {out.shape}")
    if not np.isfinite(out).all():
        raise DataError(
            f"expected finite {which} scores, got NaN or infinity in {int((~np.isfinite(out)).sum())} of {len(out)}"
        )
    if len(out) and (out.min() < -1e-6 or out.max() > 1 + 1e-6):
        raise DataError(f"expected {which} scores in [0, 1], got {out.min():.3g} to {out.max():.3g}")
    return np.clip(out, 0, 1)
