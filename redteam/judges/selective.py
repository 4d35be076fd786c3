"""Thresholds above which a judge may speak: the share of right answers there is at least what was asked for, or it abstains.

The method is selective classification with guaranteed risk (Geifman and El-Yaniv 2017, https://arxiv.org/abs/1705.08500): an
exact binomial (Clopper-Pearson) bound on the error of the accepted rows, and a union bound over the thresholds that are tried.
Where theirs are found by a binary search, which looks at the labels, ours are ranks fixed beforehand, so that the union
holds whatever the labels are (as in the fixed grids of Learn then Test, https://arxiv.org/abs/2110.01052).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparring.record import digest

RANKS = 5  # thresholds that are tried


@dataclass(frozen=True, slots=True)
class Threshold:
    """Speak where the score exceeds `value`: `low` is the lower bound of precision there, `accepted` of the `rows` that could
    be spoken about lie above. `value` is infinite where no threshold keeps the promise: then it never speaks."""

    value: float
    low: float
    accepted: int
    rows: int


def lower_bound(right: int, n: int, delta: float) -> float:
    """One-sided Clopper-Pearson: the share of right answers is at least this with a confidence of 1 - `delta`."""
    from scipy.stats import beta

    return float(beta.ppf(delta, right, n - right + 1)) if right else 0.0


def threshold(scores: np.ndarray, right: np.ndarray, *, precision: float, delta: float, floor: float = -math.inf) -> Threshold:
    """The lowest of the tried thresholds above which, with a confidence of 1 - `delta`, at least `precision` are right.

    (n,) scores and whether the answer would be right; rows must be independent, and what is judged later must be drawn as they
    were. No row of at most `floor` is spoken about. Given a rank's score, the rows above it are independent draws from what
    lies above, so the bound is exact for each rank; `delta` is shared among the ranks.
    """
    scores, right = np.asarray(scores, np.float64), np.asarray(right, bool)
    scores, right = scores[scores > floor], right[scores > floor]
    n, share = len(scores), delta / RANKS
    fewest = math.ceil(math.log(share) / math.log(precision))  # rows, all of them right, that can show the precision
    best = Threshold(math.inf, 0.0, 0, n)
    if fewest > n:
        return best
    descending = np.sort(scores)[::-1]
    for rank in sorted({round(float(r)) for r in np.geomspace(fewest, n, RANKS)}):
        value = float(descending[rank]) if rank < n else floor
        above = scores > value
        low = lower_bound(int(right[above].sum()), int(above.sum()), share)
        if low >= precision and above.sum() > best.accepted:
            best = Threshold(value, low, int(above.sum()), n)
    return best


def one_of_each(groups: Sequence[str], n: int) -> list[int]:
    """Row numbers, one of each group, which one by a hash: rows of one lineage are no independent draws. All without groups."""
    if not len(groups):
        return list(range(n))
    if len(groups) != n:
        raise ValueError(f"expected a group for each of {n} rows, got {len(groups)}")
    chosen: dict[str, int] = {}
    for i in sorted(range(n), key=lambda i: digest("one of each", groups[i], i)):
        chosen.setdefault(groups[i], i)
    return sorted(chosen.values())
