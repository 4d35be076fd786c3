"""Perceptual hashes: 64 bits that stay much the same when an image is resized or compressed again; near duplicates by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import vision

NEAR = 6  # bits of 64; of two images that have nothing in common some 32 differ
_CHUNK = 2000


def dhash(images: Sequence[bytes]) -> np.ndarray:
    """(n,) uint64 of encoded files: whether each of 9 x 8 grey fields is darker than its right neighbour.

    N. Krawetz 2013, https://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html
    """
    fields = _grey(images, (8, 9))
    return _packed(fields[:, :, :-1] < fields[:, :, 1:])


def phash(images: Sequence[bytes]) -> np.ndarray:
    """(n,) uint64 of encoded files: signs of the 8 x 8 lowest waves against their median. Slower, and surer than `dhash` where
    tones change.

    C. Zauner 2010, https://www.phash.org/docs/pubs/thesis_zauner.pdf
    """
    from scipy.fft import dctn

    waves = dctn(_grey(images, (32, 32)), axes=(1, 2))[:, :8, :8].reshape(len(images), 64)
    return _packed(waves > np.median(waves[:, 1:], axis=1, keepdims=True))  # the first is the mean tone


def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The number of bits that differ, of two broadcastable arrays of hashes."""
    return np.bitwise_count(one ^ other)


def near_pairs(hashes: np.ndarray, *, most: int = NEAR) -> np.ndarray:
    """(m, 2) int rows, the lower first, whose hashes differ in at most `most` bits. Exact; time grows with the square, some
    five seconds for 50,000."""
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(hashes), _CHUNK):
        chunk = hashes[start : start + _CHUNK]
        row, other = np.nonzero(distance(chunk[:, None], hashes[None, start:]) <= most)
        later = other > row
        found.append(np.stack([row[later], other[later]], 1) + start)
    return np.concatenate(found)


def _grey(images: Sequence[bytes], size: tuple[int, int]) -> np.ndarray:
    """(n, h, w) float32."""
    return vision.pixels(images, size=size, channels=1)[..., 0].astype(np.float32)


def _packed(bits: np.ndarray) -> np.ndarray:
    """(n, ...) of 64 bits a row as (n,) uint64."""
    return np.packbits(bits.reshape(len(bits), 64), axis=1).view(">u8").ravel().astype(np.uint64)
