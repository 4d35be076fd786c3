"""MinHash: near-duplicate texts among many, by candidates that share a band of a signature, each verified exactly.

Broder 1997, "On the resemblance and containment of documents"; banding after Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", chapter 3. Nothing depends on the order of the texts or on Python's hash seed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from . import engines
from .arrays import distinct
from .spool import Spool, parts

SIZE = 5  # characters a shingle
MISS = 0.005  # chance that a pair just at the threshold is no candidate
PER_ROW, IN_ALL = 16, 64  # candidates a text that a band, and that all bands, may add by pairing whole buckets, on average
LEADERS, BESIDE = 8, 2  # of a bucket too large for that: texts that each of its texts is paired with, and of those most alike
ASKED = 32  # candidates that a text may have from such buckets
HELD = 1 << 24  # bytes of texts whose shingles are all held; of more they are made again, a part at a time
LED = 1 << 19  # texts that the looked-up shingles of a sample may lead to, repeats included
PART = 1 << 18  # bytes, or shingles, of a part
FEW = 32  # parts whose signatures are not worth another machine
SAMPLE = 200  # texts whose every near duplicate is looked for, to measure recall
CHECKED = 48_000_000  # shingles that measuring recall may compare
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

    @property
    def count(self) -> np.ndarray:
        """(n,) int64 shingles of each text."""
        return np.diff(self.start)

    def take(self, rows: np.ndarray) -> Shingles:
        length = self.count[rows]
        start = np.r_[0, np.cumsum(length)]
        where = np.arange(start[-1]) + np.repeat(self.start[rows] - start[:-1], length)
        return Shingles(self.hashes[where], start)

    chosen = take

    @property
    def keys(self) -> np.ndarray:
        """(n,) uint64: equal for texts whose shingles are the same, as often."""
        total = np.r_[np.zeros(1, np.uint64), np.cumsum(self.hashes)]  # modulo 2**64
        return total[self.start[1:]] - total[self.start[:-1]]


class Shingled(Protocol):
    """n texts by their shingles: `count` (n,) int64 and `keys` (n,) uint64 as `Shingles` has them. `take` gives the shingles of
    some texts, `chosen` some texts as a whole, whose shingles may be made when they are asked for."""

    def __len__(self) -> int: ...
    @property
    def count(self) -> np.ndarray: ...
    @property
    def keys(self) -> np.ndarray: ...
    def take(self, rows: np.ndarray) -> Shingles: ...
    def chosen(self, rows: np.ndarray) -> Shingled: ...


@dataclass(frozen=True, slots=True)
class Streamed:
    """Texts on disk, whose shingles `make` makes anew whenever they are asked for."""

    texts: Spool[str]
    make: Callable[[Sequence[str]], Shingles]
    count: np.ndarray
    keys: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> Shingles:
        return self.make([self.texts[i] for i in rows.tolist()])

    def chosen(self, rows: np.ndarray) -> Streamed:
        return Streamed(self.texts.taken(rows), self.make, self.count[rows], self.keys[rows])


@dataclass(frozen=True, slots=True)
class Near:
    """Verified pairs of texts, `row` < `other`, in order; `similarity` is their Jaccard similarity, above the threshold.

    Texts with the same shingles stand in pairs as one: `same` (n,) is the first of them, the text itself where there are none.
    Of `sampled` near pairs of some texts, all that there are by exact search, `found` are among these: the measured recall.
    `complete` is false where so much is near everything that some candidates were left out. `compared` candidates were
    verified, at most `IN_ALL` + `ASKED` times the texts.
    """

    same: np.ndarray
    row: np.ndarray
    other: np.ndarray
    similarity: np.ndarray
    found: int
    sampled: int
    complete: bool
    compared: int = 0


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


def shingled(texts: Spool[str], make: Callable[[Sequence[str]], Shingles]) -> Shingled:
    """Texts by the shingles that `make` finds in them; held where the texts come to at most `HELD` bytes."""
    if int(texts.sizes.sum()) <= HELD:
        return make(texts[:])
    made = [(part.count, part.keys) for part in (make(texts[rows]) for rows in parts(texts.sizes, PART))]
    return Streamed(texts, make, *(np.concatenate(column) for column in zip(*made, strict=True)))


def near(shingles: Shingled, threshold: float) -> Near:
    """Pairs of texts whose sets of shingles have a Jaccard similarity above `threshold`, in (0, 1); empty texts have none.

    Candidates share a band of the signature; of pairs just at the threshold 0.5% share none, of others fewer. Every candidate
    is verified on its shingles: what is returned is exact, up to collisions of 63-bit hashes.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"expected a threshold between 0 and 1; got {threshold}")
    same, filled = np.arange(len(shingles)), np.flatnonzero(shingles.count)
    # By content: the order of the rows has no say in which candidates are left out, or in the sample.
    _, first, number = np.unique(shingles.keys[filled], return_index=True, return_inverse=True)
    texts = filled[first]
    same[filled] = texts[number]
    some = shingles.chosen(texts)
    pair, complete = _candidates(some, threshold)
    row, other = np.divmod(pair, max(len(texts), 1))
    both, either = overlap(some, row, other)
    kept = both > threshold * either
    known = _neighbours(some, _sample(some), threshold)
    found = int(np.isin(known, pair[kept]).sum())
    row, other = np.sort(np.stack([texts[row[kept]], texts[other[kept]]]), 0)
    order, similarity = np.lexsort((other, row)), both[kept] / either[kept]
    row, other, similarity = row[order], other[order], similarity[order].astype(np.float32)
    return Near(same, row, other, similarity, found, len(known), complete, len(pair))


def overlap(shingles: Shingled, row: np.ndarray, other: np.ndarray, chunk: int = 50_000) -> tuple[np.ndarray, np.ndarray]:
    """(m,) int each: shingles in both sets and in either, of texts `row` (m,) and `other` (m,)."""
    both, size = np.zeros(len(row), np.int64), np.zeros((2, len(row)), np.int64)
    for pairs in [slice(None)] if isinstance(shingles, Shingles) else _together(shingles, row, other):
        texts, place = np.unique(np.r_[row[pairs], other[pairs]], return_inverse=True)
        sets = _sets(shingles.take(texts))
        a, b = place.reshape(2, -1)
        shared = np.zeros(len(a), np.int64)
        for start in range(0, len(a), chunk):
            i, j = a[start : start + chunk], b[start : start + chunk]
            shared[start : start + chunk] = np.diff(sets[i].multiply(sets[j]).indptr)
        each = np.diff(sets.indptr)
        both[pairs], size[0][pairs], size[1][pairs] = shared, each[a], each[b]
    return both, size.sum(0) - both


def _together(shingles: Shingled, row: np.ndarray, other: np.ndarray) -> Iterator[np.ndarray]:
    """The pairs in parts whose texts have about 4 * `PART` shingles; by the later text, for many pairs may share an earlier."""
    order = np.lexsort((row, other))
    for some in parts(np.maximum(shingles.count[row], shingles.count[other])[order], 4 * PART):
        yield order[some]


def _sets(shingles: Shingles) -> Any:
    from scipy.sparse import csr_matrix

    column = (shingles.hashes >> np.uint64(1)).astype(np.int64)
    sets = csr_matrix((np.ones(len(column), bool), column, shingles.start), shape=(len(shingles), 2**63 - 1))
    sets.sum_duplicates()
    return sets


def _candidates(shingles: Shingled, threshold: float) -> tuple[np.ndarray, bool]:
    """Pairs row * n + other, row < other, each once, in order; and whether all that share a band are among them."""
    n, (bands, rows), complete = len(shingles), _bands(threshold), True
    signature, left = _signature(shingles, bands * rows), IN_ALL * n
    keys = [
        functools.reduce(lambda key, value: key * _BASE + value, signature[i : i + rows], np.zeros(n, np.uint64))
        for i in range(0, bands * rows, rows)
    ]
    found, asked = np.zeros(0, np.int64), np.zeros(n, np.int64)
    for band, key in enumerate(keys):
        order = np.argsort(key, kind="stable")
        start = np.flatnonzero(np.r_[True, np.diff(key[order]) > 0][:n])
        size = np.diff(np.r_[start, n])
        one, two, large = _within(order, start, size, min(PER_ROW * n, left))
        before = len(found)
        found = distinct(np.r_[found, np.minimum(one, two) * n + np.maximum(one, two)])
        left -= len(found) - before
        if large.any():
            complete = False
            one, two = _led(order, start[large], size[large], keys[(band + 1) % bands], asked < ASKED)
            new, first = np.unique(np.minimum(one, two) * n + np.maximum(one, two), return_index=True)
            first = first[~np.isin(new, found, assume_unique=True)]
            # A text stops being asked about in the middle of a band, so that the bound holds.
            turn = np.argsort(two[first], kind="stable")
            nth = np.arange(len(first)) - np.searchsorted(two[first][turn], two[first][turn])
            kept = first[turn][nth + asked[two[first][turn]] < ASKED]
            np.add.at(asked, two[kept], 1)
            found = np.sort(np.r_[found, np.minimum(one[kept], two[kept]) * n + np.maximum(one[kept], two[kept])])
    return found, complete


def _within(order: np.ndarray, start: np.ndarray, size: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(one text, another) of every pair in one bucket, the smallest buckets first up to `most` pairs; which are too large."""
    ascending = np.sort(size)
    fits = int(np.searchsorted(np.cumsum(ascending * (ascending - 1) // 2), most, "right"))
    limit = ascending[fits] - 1 if fits < len(size) else len(order)  # buckets of one size stand or fall together
    large = size > limit
    bucket = np.repeat(np.where(large, -1, np.arange(len(size))), size)
    at, step, one, two = np.flatnonzero(bucket >= 0), 0, [order[:0]], [order[:0]]
    while len(at):  # each text with the next of its bucket, the next but one, and so on
        step += 1
        at = at[at < len(order) - step]
        at = at[bucket[at] == bucket[at + step]]
        one.append(order[at])
        two.append(order[at + step])
    return np.concatenate(one), np.concatenate(two), large


def _led(
    order: np.ndarray, start: np.ndarray, size: np.ndarray, likeness: np.ndarray, asked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(one text, another that may still be `asked` about) of buckets at `start` in `order`: with the bucket's first `LEADERS`,
    that something stands for all its rows, and with the next `BESIDE` where it is sorted by `likeness`."""
    bucket = np.repeat(np.arange(len(size)), size)
    texts = order[np.arange(size.sum()) + np.repeat(start - np.cumsum(size) + size, size)]
    first, one, two = np.repeat(np.cumsum(size) - size, size), [], []
    place = np.arange(len(texts))
    alike = np.lexsort((likeness[texts], bucket))
    for step in range(LEADERS):
        later = place > first + step
        one.append(texts[(first + step)[later]])
        two.append(texts[later])
    for step in range(1, BESIDE + 1):
        beside = bucket[:-step] == bucket[step:]
        one.append(texts[alike[:-step][beside]])
        two.append(texts[alike[step:][beside]])
    left, right = np.concatenate(one), np.concatenate(two)
    return left[asked[right]], right[asked[right]]


def _bands(threshold: float) -> tuple[int, int]:
    """How many bands of how many rows: the chance of sharing none is `MISS` at the threshold."""
    rows = 4 if threshold < 0.8 else 6
    return math.ceil(math.log(MISS) / math.log1p(-(threshold**rows))), rows


def _signature(shingles: Shingled, size: int) -> np.ndarray:
    """(size, n) uint32: the smallest of each text's shingles in `size` orders; no text may be empty."""
    rng = np.random.default_rng(0)
    flip, factor = rng.integers(0, 1 << 32, (2, size), np.uint32)
    factor |= np.uint32(1)
    if not isinstance(shingles, Streamed):
        return _Signed(flip, factor)(shingles)
    out, rows = np.empty((size, len(shingles)), np.uint32), list(parts(shingles.count, PART))
    pieces = (shingles.texts[part] for part in rows)
    for number, signed in engines.current().each(_Signed(flip, factor, shingles.make), pieces, few=FEW):
        out[:, rows[number]] = signed
    return out


@dataclass(frozen=True)
class _Signed:
    """Texts, or their shingles -> (size, n) uint32 signatures."""

    flip: np.ndarray
    factor: np.ndarray
    make: Callable[[Sequence[str]], Shingles] | None = None

    def __call__(self, texts: Any) -> np.ndarray:
        part = self.make(texts) if self.make else texts
        out = np.empty((len(self.flip), len(part)), np.uint32)
        for rows in parts(part.count, _CHUNK):
            start = part.start[rows.start : rows.stop]
            high = (part.hashes[start[0] : part.start[rows.stop]] >> np.uint64(32)).astype(np.uint32)
            for i, (flip, factor) in enumerate(zip(self.flip, self.factor, strict=True)):
                orders = (high ^ flip) * factor
                np.minimum.reduceat(orders, start - start[0], out=out[i, rows.start : rows.stop])
        return out


def _parts(shingles: Shingled) -> Iterator[tuple[int, Shingles]]:
    """(number of the first text, shingles) of consecutive texts."""
    if isinstance(shingles, Shingles):
        yield 0, shingles
        return
    for rows in parts(shingles.count, PART):
        yield rows.start, shingles.take(np.arange(rows.start, rows.stop))


def _sample(shingles: Shingled) -> np.ndarray:
    """`SAMPLE` texts at even steps; of long texts fewer, that their shingles can be held."""
    texts = np.arange(0, len(shingles), max(1, -(-len(shingles) // SAMPLE)))
    return texts[: max(1, int(np.searchsorted(np.cumsum(shingles.count[texts]), PART, "right")))]


def _neighbours(shingles: Shingled, texts: np.ndarray, threshold: float) -> np.ndarray:
    """Pairs row * n + other, row < other, of every near duplicate that `texts` have among all, by exact search.

    Two texts above the threshold share at least one of any shingles of the first that are more than 1 - threshold of its own
    (prefix filtering; Chaudhuri, Ganti and Kaushik 2006): only the rarest are looked up. Where they still lead nearly
    everywhere, the texts after the first `CHECKED` compared shingles are passed over, and those after the first `LED` holders.
    """
    common, count = np.zeros(1 << 20, np.int64), shingles.count
    for _, part in _parts(shingles):
        common += np.bincount((part.hashes >> np.uint64(44)).astype(np.int64), minlength=1 << 20)
    sample = _sets(shingles.take(texts))
    size = np.diff(sample.indptr)
    owner = np.repeat(np.arange(len(texts)), size)
    order = np.lexsort((sample.indices, common[sample.indices >> 43], owner))
    rank = np.arange(len(order)) - np.repeat(sample.indptr[:-1], size)
    kept = order[rank <= ((1 - threshold) * size)[owner]]
    led = np.searchsorted(np.cumsum(common[sample.indices[kept] >> 43]), LED, "right")
    texts = texts[: max(1, owner[kept[led]])] if led < len(kept) else texts
    kept = kept[owner[kept] < len(texts)]
    wanted, number = np.unique(sample.indices[kept], return_inverse=True)
    holder, first = _holders(shingles, wanted)
    row, other, checked = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for i, text in enumerate(texts):
        mine = number[owner[kept] == i]
        others = distinct(np.concatenate([holder[first[w] : first[w + 1]] for w in mine]))
        checked += int(count[others].sum()) + len(others) * int(count[text])
        if checked > CHECKED:
            break
        row.append(np.full(len(others), text))
        other.append(others)
    one, two = np.concatenate(row), np.concatenate(other)
    both, either = overlap(shingles, one, two)
    near = (one != two) & (both > threshold * either)
    return distinct((np.minimum(one, two) * len(shingles) + np.maximum(one, two))[near])


def _holders(shingles: Shingled, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Texts that hold a shingle, those of `wanted[i]` (sorted, without their lowest bit) from `first[i]` to `first[i + 1]`."""
    maybe, texts, which = np.zeros(1 << 20, bool), [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    maybe[wanted >> 43] = True
    for start, part in _parts(shingles):
        place = np.flatnonzero(maybe[(part.hashes >> np.uint64(44)).astype(np.int64)])
        column = (part.hashes[place] >> np.uint64(1)).astype(np.int64)
        there = np.minimum(np.searchsorted(wanted, column), len(wanted) - 1)
        place, there = place[wanted[there] == column], there[wanted[there] == column]
        texts.append(start + np.searchsorted(part.start, place, "right") - 1)
        which.append(there)
    there = np.concatenate(which)
    by_shingle = np.argsort(there, kind="stable")
    return np.concatenate(texts)[by_shingle], np.searchsorted(there[by_shingle], np.arange(len(wanted) + 1))


def _mixed(hashes: np.ndarray) -> np.ndarray:
    """Every bit of each from every bit (the finaliser of MurmurHash3)."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashes = (hashes ^ (hashes >> np.uint64(33))) * np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(33))
