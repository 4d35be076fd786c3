"""What a selector is given, and its contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sparring.errors import DataError


def _none() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Pool:
    """The rows to select from. `vectors` (n, d) unit; `probabilities` (n, k) in [0, 1], of the model that is to learn;
    `chosen` (m,) numbers of the rows that are labelled or chosen already; `rare` the label of which there is too little.

    Raises `DataError` for wrong shapes, values that are no numbers, probabilities outside [0, 1], rows that do not exist.
    """

    vectors: np.ndarray
    probabilities: np.ndarray | None = None
    chosen: np.ndarray = field(default_factory=_none)
    rare: int | None = None

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2:
            raise DataError(f"expected vectors of shape (n, d), got {self.vectors.shape}. Fix: one row a sample")
        if not finite(self.vectors):
            raise DataError("expected vectors of finite numbers, got NaN or infinity. Fix: drop or embed these rows again")
        if self.probabilities is not None:
            check_probabilities(self.probabilities, len(self.vectors))
        if len(self.chosen) and not (np.min(self.chosen) >= 0 and np.max(self.chosen) < len(self.vectors)):
            raise DataError(
                f"expected chosen rows from 0 to {len(self.vectors) - 1}, got {self.chosen.min()} to {self.chosen.max()}"
            )
        if self.rare is not None and self.probabilities is not None and not 0 <= self.rare < self.probabilities.shape[1]:
            raise DataError(f"expected a rare label from 0 to {self.probabilities.shape[1] - 1}, got {self.rare}")

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def scores(self) -> np.ndarray:
        """(n, k) probabilities, for selectors that cannot do without."""
        if self.probabilities is None:
            raise DataError(
                "expected probabilities for this selector. Fix: give them, or select by k_center or facility_location"
            )
        return self.probabilities


class Selector(ABC):
    """Proposes a row at a time; `select` refuses what breaks a rule and tells what it took.

    Two runs on the same pool with the same seed propose the same rows. Higher is better in every score; equals go by number.
    """

    def __init__(self, pool: Pool, *, seed: int = 0):
        self.pool = pool
        self.rng = np.random.default_rng(seed)
        self.batch: list[int] = []

    @abstractmethod
    def propose(self, open: np.ndarray) -> int:
        """The best of the rows that are still open, (n,) bool with at least one."""

    def take(self, row: int) -> None:
        """This row joins the batch, by its own proposal or for the audit; `pool.chosen` are never told."""
        self.batch.append(row)


def best(score: np.ndarray, open: np.ndarray) -> int:
    """The open row of the highest score, the first of equals."""
    return int(np.argmax(np.where(open, score, -np.inf)))


def blocks(values: np.ndarray, *, rows: int = 65_536) -> Iterator[np.ndarray]:
    """In blocks of rows, since vectors may be a memory map."""
    return (values[start : start + rows] for start in range(0, len(values), rows))


def finite(values: np.ndarray) -> bool:
    return all(bool(np.isfinite(block).all()) for block in blocks(values))


def check_probabilities(p: np.ndarray, n: int) -> None:
    """Raises `DataError` unless `p` is (n, k >= 2) in [0, 1]; scores may be independent per label, so no sum is asked for."""
    if p.ndim != 2 or len(p) != n or p.shape[1] < 2:
        raise DataError(f"expected probabilities of shape ({n}, labels), two labels at least; got {p.shape}")
    if not finite(p):
        bad = (~np.isfinite(p).all(1)).sum()
        raise DataError(
            f"expected probabilities, got NaN or infinity in {bad} of {n} rows. Fix: drop or score these rows again"
        )
    if n and (p.min() < -1e-6 or p.max() > 1 + 1e-6):
        raise DataError(
            f"expected probabilities in [0, 1], got {p.min():.3g} to {p.max():.3g}. Fix: a softmax or sigmoid of logits"
        )
