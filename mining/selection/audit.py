"""Honest estimates from random rows: prevalence and label error, each with its 95% interval.

Rows that a selector picked say nothing about the pool; the audit rows beside them do. Every round draws its own from what was
still unchosen, so a round is a *wave* with a population of its own, perhaps in strata; what was labelled before it is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparring.errors import DataError

from ..probe.stats import wilson


@dataclass(frozen=True, slots=True)
class Draw:
    """`rows` (m,) drawn without replacement, every row of a stratum alike; `stratum` (m,) of each; `population` (h,) how many
    rows each stratum had to draw from."""

    rows: np.ndarray
    stratum: np.ndarray
    population: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """(m,) how likely a row was to be drawn."""
        drawn = np.bincount(self.stratum, minlength=len(self.population))
        return (drawn / np.maximum(self.population, 1))[self.stratum]


@dataclass(frozen=True, slots=True)
class Wave:
    """What came of a draw: `positive` (m,) bool for its rows; `known` rows had been labelled before it, `known_positive` of
    them so."""

    draw: Draw
    positive: np.ndarray
    known: int = 0
    known_positive: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share of all rows with its 95% interval; `n` random rows speak for it."""

    value: float
    low: float
    high: float
    n: int


def draw(open: np.ndarray, count: int, *, seed: int, strata: np.ndarray | None = None) -> Draw:
    """`count` of the open rows, (n,) bool, at random; with `strata` (n,) int shared out by their sizes, one each at least.

    Fewer where fewer are open. Raises `DataError` when there are more strata than rows to draw.
    """
    rng, rows = np.random.default_rng([seed, 1]), np.flatnonzero(open)
    of = np.zeros(len(rows), np.int64) if strata is None else np.unique(np.asarray(strata)[rows], return_inverse=True)[1]
    size = np.bincount(of)
    count = min(count, len(rows))
    if not count:
        return Draw(rows[:0], rows[:0], size)
    if count < len(size):
        raise DataError(
            f"expected a row for each of {len(size)} audit strata, got {count}. Fix: fewer strata, or a larger share"
        )
    taken = [rng.permutation(rows[of == h])[:m] for h, m in enumerate(_shared(count, size))]
    return Draw(np.concatenate(taken), np.repeat(np.arange(len(size)), [len(t) for t in taken]), size)


def estimate(waves: Sequence[Wave]) -> Estimate:
    """The share of positive rows among all rows of the pool, unbiased.

    For prevalence, positive means that the reviewed label is the one asked about; for label error, that it is not the given
    one. Each wave estimates the whole (what was known, plus its strata, as Horvitz and Thompson 1952); waves are weighted by
    their rows. Intervals: Wilson, corrected for a finite population; strata are joined by MOVER (Zou and Donner 2008). They
    hold the truth 95% of the time on average, between 90% and 100% at any one prevalence and number of rows.
    """
    parts: list[tuple[float, float, float]] = []  # coefficient, share, rows it rests on (raised: the population is finite)
    drawn = sum(len(w.positive) for w in waves)
    if not drawn:
        raise DataError("expected an audit row at least, got none. Fix: select with audit above 0, and label its rows")
    fixed, plain = 0.0, True
    for wave in waves:
        if len(wave.positive) != len(wave.draw.rows):
            raise DataError(f"expected a label for each of {len(wave.draw.rows)} audit rows, got {len(wave.positive)}")
        if not len(wave.draw.rows):
            continue
        counts = np.bincount(wave.draw.stratum, minlength=len(wave.draw.population))
        found = np.bincount(wave.draw.stratum, np.asarray(wave.positive, np.float64), minlength=len(counts))
        total, weight = wave.known + int(wave.draw.population.sum()), len(wave.positive) / drawn
        fixed += weight * wave.known_positive / total
        plain &= len(counts) == 1
        for n, x, size in zip(counts, found, wave.draw.population, strict=True):
            parts.append((weight * size / total, x / n, n * (size - 1) / (size - n) if size > n else np.inf))
    unknown = sum(c for c, _, _ in parts)
    seen = sum(c * p for c, p, _ in parts) / unknown
    if plain:  # the variance of waves of one kind is at most that of their mean share
        joint = sum(c * c / n for c, _, n in parts)
        parts = [(unknown, seen, unknown**2 / joint if joint else np.inf)]
    below = above = 0.0
    for c, p, n in parts:
        low, high = _interval(p, n)
        below, above = below + (c * (p - low)) ** 2, above + (c * (high - p)) ** 2
    value = fixed + unknown * seen
    return Estimate(float(value), float(max(0, value - below**0.5)), float(min(1, value + above**0.5)), drawn)


def weighted(positive: np.ndarray, probability: np.ndarray) -> Estimate:
    """The same from rows drawn each on its own with an unequal, known probability (m,), as where high scores were favoured.

    Value: Hájek's ratio form of Horvitz and Thompson's estimator. Interval: Wilson on as many rows as the weighted sample is
    worth (Korn and Graubard 1998). Raises `DataError` for probabilities outside (0, 1].
    """
    y, pi = np.asarray(positive, np.float64), np.asarray(probability, np.float64)
    if len(y) != len(pi) or not len(y):
        raise DataError(f"expected a probability for each of 1 or more audit rows, got {len(y)} rows and {len(pi)}")
    if not ((pi > 0) & (pi <= 1)).all():
        raise DataError("expected probabilities of being drawn above 0 and at most 1")
    w = 1 / pi
    value = float((w * y).sum() / w.sum())
    variance = float((w**2 * (1 - pi) * (y - value) ** 2).sum() / w.sum() ** 2)
    kish = float(w.sum() ** 2 / (w**2).sum())  # where all are alike there is no variance to go by
    worth = min(value * (1 - value) / variance if variance > 0 else kish, float(len(y)))
    _, low, high, _ = wilson(value * worth, worth)
    return Estimate(value, low, high, len(y))


def _interval(share: float, n: float) -> tuple[float, float]:
    """Wilson's; nothing is uncertain once a whole population was drawn."""
    if n == np.inf:
        return share, share
    _, low, high, _ = wilson(share * n, n)
    return low, high


def _shared(count: int, sizes: np.ndarray) -> np.ndarray:
    """`count` shared out by size, one each at least, none above its size; largest remainders first."""
    given = np.ones(len(sizes), np.int64)
    for _ in range(count - len(sizes)):
        given[np.argmax(np.where(given < sizes, sizes / given, -1.0))] += 1
    return given
