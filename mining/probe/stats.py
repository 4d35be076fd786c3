"""Exact and closed-form statistics of passes and failures."""

from __future__ import annotations

import math
from collections.abc import Sequence

Share = tuple[float, float, float, int]  # value, low, high, n: a figure as `sparring.metrics` has them
_Z = 1.959963984540054  # of 95%, two-sided


def wilson(passed: float, n: float) -> Share:
    """The share of `passed` in `n` > 0, with the 95% interval of Wilson (1927), which holds for few cases too.

    `n` is a number of cases, or of as many as a sample that is no plain one is worth.
    """
    share, z2 = passed / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return round(share, 6), round(max(0.0, centre - half), 6), round(min(1.0, centre + half), 6), round(n)


def mcnemar(fixed: int, broken: int) -> float:
    """Two-sided exact p of McNemar's test (1947): that as many cases were fixed as broken, but for chance."""
    n, fewer = fixed + broken, min(fixed, broken)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n)


def holm(p: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979), in the order given."""
    out, highest = [0.0] * len(p), 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        highest = max(highest, min(1.0, (len(p) - rank) * p[i]))
        out[i] = highest
    return out
