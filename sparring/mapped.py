"""Reading (n, d) arrays that may be memory maps larger than memory: what was read is given back as one goes."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import numpy as np

from .errors import DataError

CHUNK = 1 << 23  # values at a time: 32 MiB of float32
_TOUCHED = 2048  # scattered rows between two releases: the kernel maps the 16 pages around each


def release(array: np.ndarray) -> None:
    """Gives back the pages of a memory map; the file keeps them. Private maps, whose pages may hold changes, stay."""
    mapped = getattr(array, "_mmap", None)
    if isinstance(mapped, mmap.mmap) and getattr(array, "mode", None) in ("r", "r+") and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def chunks(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, rows as float32) of consecutive parts of `array`."""
    step = max(1, CHUNK // max(1, array.shape[1]))
    for start in range(0, len(array), step):
        yield start, np.asarray(array[start : start + step], np.float32)
        release(array)


def take(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(len(rows), d) float32 copy of some rows, scattered or not."""
    if not isinstance(array, np.memmap):
        return np.asarray(array[rows], np.float32)
    out = np.empty((len(rows), array.shape[1]), np.float32)
    for start in range(0, len(rows), _TOUCHED):
        out[start : start + _TOUCHED] = array[rows[start : start + _TOUCHED]]
        release(array)
    return out


def expect_unit(rows: np.ndarray, start: int = 0) -> np.ndarray:
    """(n,) bool: False for rows of zeros. Raises `DataError` for a row of (n, d) whose length is neither 0 nor 1 (to 0.001);
    `start` is the number of the first."""
    square = np.einsum("ij,ij->i", rows, rows)
    filled = square > 1e-12
    odd = np.flatnonzero(~(np.abs(square - filled) < 2e-3))
    if len(odd):
        raise DataError(
            f"row {start + odd[0]}: expected a vector of length 1 (or of zeros), got length {np.sqrt(square[odd[0]]):.4g}. "
            "Fix: scale the rows with sparring.embed.unit, and embed again those with NaN"
        )
    return filled
