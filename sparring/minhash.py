"""MinHash: near-duplicate texts among many, by candidates that share a band of a signature, each verified exactly.

Broder 1997, "On the resemblance and containment of documents"; banding after Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", chapter 3. Nothing depends on the order of the texts or on Python's hash seed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SIZE = 5  # characters a shingle
MISS = 0.005  # chance that a pair just at the threshold is no candidate
PER_ROW = 16  # candidates a row that one band may add, on average; more only where nearly everything is a near duplicate
SAMPLE = 200  # texts whose every near duplicate is looked for, to measure recall
CHECKED = 300_000  # comparisons that measuring recall may cost
_CHUNK = 1 << 15  # shingles at a time: they stay in the processor's cache
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd


@dataclass(frozen=True, slots=True)
class Shingles:
    """Hashes of the shingles of n texts: text i has `hashes[start[i]:start[i + 1]]`, repeats included, none where it is empty.

    `hashes` (m,) uint64, well mixed; `start` (n + 1,) int64.
    """

    hashes: np.ndarray
    start: np.ndarray

    def __len__(self) -> int:
        return len(self.start) - 1

    def take(self, rows: np.ndarray) -> Shingles:
        length = (self.start[1:] - self.start[:-1])[rows]
        start = np.r_[0, np.cumsum(length)]
        where = np.arange(start[-1]) + np.repeat(self.start[rows] - start[:-1], length)
        return Shingles(self.hashes[where], start)

    def keys(self) -> np.ndarray:
        """(n,) uint64: equal for texts whose shingles are the same, as often."""
        total = np.r_[np.zeros(1, np.uint64), np.cumsum(self.hashes)]  # modulo 2**64
        return total[self.start[1:]] - total[self.start[:-1]]


@dataclass(frozen=True, slots=True)
class Near:
    """Verified pairs of texts, `row` < `other`, in order; `similarity` is their Jaccard similarity, above the threshold.

    Texts with the same shingles stand in pairs as one: `same` (n,) is the first of them, the text itself where there are none.
    Of `sampled` near pairs of some texts, all that there are by exact search, `found` are among these: the measured recall.
    `complete` is false where so much is near everything that some candidates were left out.
    """

    same: np.ndarray
    row: np.ndarray
    other: np.ndarray
    similarity: np.ndarray
    found: int
    sampled: int
    complete: bool


def shingles(texts: Sequence[str], size: int = SIZE) -> Shingles:
    """Of each text's runs of `size` characters; a shorter text is filled up with NUL, as `near_pairs` does."""
    padded = [t.ljust(size, "\0") for t in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), np.uint32)
    return of_codes(codes, np.fromiter(map(len, padded), np.int64, len(padded)), size)


def of_codes(codes: np.ndarray, length: np.ndarray, size: int = SIZE) -> Shingles:
    """As `shingles`, of the code points of all texts in turn, (sum of `length`,); a text shorter than `size` has none."""
    ends = np.cumsum(length)
    count = np.maximum(length - size + 1, 0)
    inside = np.ones(len(codes), bool)
    for back in range(1, size):
        inside[np.maximum(ends - back, ends - length)[length > 0]] = False
    out, done = np.empty(int(count.sum()), np.uint64), 0
    for at in range(0, len(codes) - size + 1, _CHUNK):
        piece = codes[at : at + _CHUNK + size - 1].astype(np.uint64)
        width = len(piece) - size + 1
        rolled = piece[:width]
        for i in range(1, size):
            rolled = rolled * _BASE + piece[i : width + i]
        kept = _mixed(rolled[inside[at : at + width]])
        out[done : done + len(kept)] = kept
        done += len(kept)
    return Shingles(out, np.r_[0, np.cumsum(count)])


def near(shingles: Shingles, threshold: float) -> Near:
    """Pairs of texts whose sets of shingles have a Jaccard similarity above `threshold`, in (0, 1); empty texts have none.

    Candidates share a band of the signature; of pairs just at the threshold 0.5% share none, of others fewer. Every candidate
    is verified on its shingles: what is returned is exact, up to collisions of 63-bit hashes.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"expected a threshold between 0 and 1; got {threshold}")
    same, filled = np.arange(len(shingles)), np.flatnonzero(np.diff(shingles.start))
    # By content: the order of the rows has no say in which candidates are left out, or in the sample.
    _, first, number = np.unique(shingles.keys()[filled], return_index=True, return_inverse=True)
    texts = filled[first]
    same[filled] = texts[number]
    some = shingles.take(texts)
    pair, complete = _candidates(some, threshold)
    row, other = np.divmod(pair, max(len(texts), 1))
    both, either = overlap(some, row, other)
    kept = both > threshold * either
    known = _neighbours(some, np.arange(0, len(texts), max(1, -(-len(texts) // SAMPLE))), threshold)
    found = int(np.isin(known, pair[kept]).sum())
    row, other = np.sort(np.stack([texts[row[kept]], texts[other[kept]]]), 0)
    order, similarity = np.lexsort((other, row)), both[kept] / either[kept]
    return Near(same, row[order], other[order], similarity[order].astype(np.float32), found, len(known), complete)


def overlap(shingles: Shingles, row: np.ndarray, other: np.ndarray, chunk: int = 50_000) -> tuple[np.ndarray, np.ndarray]:
    """(m,) int each: shingles in both sets and in either, of texts `row` (m,) and `other` (m,)."""
    texts, place = np.unique(np.r_[row, other], return_inverse=True)
    sets = _sets(shingles.take(texts))
    a, b = place[: len(row)], place[len(row) :]
    both = np.zeros(len(row), np.int64)
    for start in range(0, len(row), chunk):
        i, j = a[start : start + chunk], b[start : start + chunk]
        both[start : start + chunk] = np.diff(sets[i].multiply(sets[j]).indptr)
    size = np.diff(sets.indptr)
    return both, size[a] + size[b] - both


def _sets(shingles: Shingles) -> Any:
    from scipy.sparse import csr_matrix

    column = (shingles.hashes >> np.uint64(1)).astype(np.int64)
    sets = csr_matrix((np.ones(len(column), bool), column, shingles.start), shape=(len(shingles), 2**63 - 1))
    sets.sum_duplicates()
    return sets


def _candidates(shingles: Shingles, threshold: float) -> tuple[np.ndarray, bool]:
    """Pairs row * n + other, row < other, each once, in order; and whether all that share a band are among them."""
    n, (bands, rows), complete = len(shingles), _bands(threshold), True
    signature, most = _signature(shingles, bands * rows), PER_ROW * n
    found = [np.zeros(0, np.int64)]
    for band in range(bands):
        key = functools.reduce(
            lambda key, value: key * _BASE + value, signature[band * rows : (band + 1) * rows], np.zeros(n, np.uint64)
        )
        order = np.argsort(key, kind="stable")
        key, at, step, pairs = key[order], np.arange(n), 0, 0
        while True:  # each text with the next of its bucket, the next but one, and so on
            step += 1
            at = at[at < n - step]
            at = at[key[at] == key[at + step]]
            pairs += len(at)
            if pairs > most:
                complete = False
            if not len(at) or pairs > most:
                break
            one, two = order[at], order[at + step]
            found.append(np.minimum(one, two) * n + np.maximum(one, two))
        found = [np.unique(np.concatenate(found))]
    return found[0], complete


def _bands(threshold: float) -> tuple[int, int]:
    """How many bands of how many rows: the chance of sharing none is `MISS` at the threshold."""
    rows = 4 if threshold < 0.8 else 6
    return math.ceil(math.log(MISS) / math.log1p(-(threshold**rows))), rows


def _signature(shingles: Shingles, size: int) -> np.ndarray:
    """(size, n) uint32: the smallest of each text's shingles in `size` orders; no text may be empty."""
    rng = np.random.default_rng(0)
    flip, factor = rng.integers(0, 1 << 32, (2, size), np.uint32)
    factor |= np.uint32(1)
    start, out, first = shingles.start, np.empty((size, len(shingles)), np.uint32), 0
    while first < len(shingles):
        last = max(first + 1, int(np.searchsorted(start, start[first] + _CHUNK, "right")) - 1)
        high = (shingles.hashes[start[first] : start[last]] >> np.uint64(32)).astype(np.uint32)
        at = start[first:last] - start[first]
        for i in range(size):
            np.minimum.reduceat((high ^ flip[i]) * factor[i], at, out=out[i, first:last])
        first = last
    return out


def _neighbours(shingles: Shingles, texts: np.ndarray, threshold: float) -> np.ndarray:
    """Pairs row * n + other, row < other, of every near duplicate that `texts` have among all, by exact search.

    Two texts above the threshold share at least one of any shingles of the first that are more than 1 - threshold of its own
    (prefix filtering; Chaudhuri, Ganti and Kaushik 2006): only the rarest are looked up. Where they still lead nearly
    everywhere, the texts after the first `CHECKED` comparisons are passed over.
    """
    high = (shingles.hashes >> np.uint64(44)).astype(np.int64)
    common = np.bincount(high, minlength=1 << 20)
    sample = _sets(shingles.take(texts))
    size = np.diff(sample.indptr)
    owner = np.repeat(np.arange(len(texts)), size)
    order = np.lexsort((sample.indices, common[sample.indices >> 43], owner))
    rank = np.arange(len(order)) - np.repeat(sample.indptr[:-1], size)
    kept = order[rank <= ((1 - threshold) * size)[owner]]
    wanted, number = np.unique(sample.indices[kept], return_inverse=True)
    maybe = np.zeros(1 << 20, bool)
    maybe[wanted >> 43] = True
    place = np.flatnonzero(maybe[high])
    column = (shingles.hashes[place] >> np.uint64(1)).astype(np.int64)
    there = np.minimum(np.searchsorted(wanted, column), len(wanted) - 1)
    place, there = place[wanted[there] == column], there[wanted[there] == column]
    holder = np.searchsorted(shingles.start, place, "right") - 1
    by_shingle = np.argsort(there, kind="stable")
    holder, first = holder[by_shingle], np.searchsorted(there[by_shingle], np.arange(len(wanted) + 1))
    row, other, checked = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for i, text in enumerate(texts):
        mine = number[owner[kept] == i]
        others = np.unique(np.concatenate([holder[first[w] : first[w + 1]] for w in mine]))
        checked += len(others)
        if checked > CHECKED:
            break
        row.append(np.full(len(others), text))
        other.append(others)
    one, two = np.concatenate(row), np.concatenate(other)
    both, either = overlap(shingles, one, two)
    near = (one != two) & (both > threshold * either)
    return np.unique((np.minimum(one, two) * len(shingles) + np.maximum(one, two))[near])


def _mixed(hashes: np.ndarray) -> np.ndarray:
    """Every bit of each from every bit (the finaliser of MurmurHash3)."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(33))
