"""A short sketch of each row whose distances stand for the true ones, so that most pairs are dismissed without the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sparring import mapped

LEADING, RANDOM = 80, 16  # coordinates along principal axes, and random ones of what is left
FIRST = 32
LOSS = 1e-4  # at most this share of pairs at the threshold is dismissed wrongly, over the draw of the random axes
_BLOCK, _BLOCKS = 16, 512  # the sample is of short runs of rows: scattered single rows would read the whole file
_SLACK = 1e-5  # float32 rounding of a squared distance


@dataclass(frozen=True, slots=True)
class Axes:
    """`mean` (d,), `matrix` (d, m): the last `leading` columns orthonormal, the others scaled to stand for the rest.

    All pairs are compared by the `first` columns, the others looked at for those that are left.
    `near`: a pair whose sketches are further apart, squared, is not above the cosine threshold (but for `LOSS`).
    """

    mean: np.ndarray
    matrix: np.ndarray
    leading: int
    first: int
    near: float

    def of(self, vectors: np.ndarray) -> np.ndarray:
        return np.asarray((vectors - self.mean) @ self.matrix, np.float32)


def sample(vectors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Up to 8,192 rows of (n, d) as float32, in short runs spread at random."""
    starts = np.unique(rng.integers(0, max(1, len(vectors) - _BLOCK + 1), _BLOCKS))
    rows = np.unique((starts[:, None] + np.arange(_BLOCK)).ravel())
    return mapped.take(vectors, rows[rows < len(vectors)])


def whole(dim: int, threshold: float) -> Axes:
    """The rows themselves for a sketch."""
    return Axes(np.zeros(dim, np.float32), np.eye(dim, dtype=np.float32), dim, dim, 2 * (1 - threshold) + _SLACK)


def axes(rows: np.ndarray, threshold: float, rng: np.random.Generator) -> Axes:
    """Principal axes of `rows` and random ones orthogonal to them.

    A projection never lengthens a difference, and the random part of m axes out of d' left keeps a Beta(m/2, (d' - m)/2)
    share of its square, whatever the data (Johnson and Lindenstrauss 1984; Dasgupta and Gupta 2003): `near` is its upper
    quantile at the threshold's squared distance 2 (1 - cosine).
    """
    from scipy.special import betaincinv

    dim = rows.shape[1]
    if dim <= LEADING + RANDOM:
        return whole(dim, threshold)
    mean = rows.mean(0)
    centred = rows - mean
    leading = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :LEADING]
    rest = rng.standard_normal((dim, RANDOM))
    rest = np.linalg.qr(rest - leading @ (leading.T @ rest))[0]
    left = dim - LEADING
    stretch = left / RANDOM
    most = max(1.0, stretch * float(betaincinv(RANDOM / 2, (left - RANDOM) / 2, 1 - LOSS)))
    matrix = np.hstack([rest * np.sqrt(stretch), leading]).astype(np.float32)
    return Axes(mean, np.ascontiguousarray(matrix), LEADING, FIRST, 2 * (1 - threshold) * most + _SLACK)


def sketch(vectors: np.ndarray, along: Axes) -> tuple[np.ndarray, np.ndarray]:
    """(m, s) float32 and the (m,) int32 rows that they stand for: all but rows of zeros.

    Raises `DataError` for a row that is neither of unit length nor zero.
    """
    out, filled = np.empty((len(vectors), along.matrix.shape[1]), np.float32), np.ones(len(vectors), bool)
    shift = along.mean @ along.matrix
    for start, part in mapped.chunks(vectors):
        filled[start : start + len(part)] = mapped.expect_unit(part, start)
        np.matmul(part, along.matrix, out=out[start : start + len(part)])
        out[start : start + len(part)] -= shift
    rows = np.flatnonzero(filled).astype(np.int32)
    return (out if len(rows) == len(out) else out[rows]), rows
