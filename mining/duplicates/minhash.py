"""Near-duplicate texts, disguised ones too: by MinHash in two readings of each text, every pair verified exactly."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from sparring import engines, minhash
from sparring.confusables import TO_LATIN
from sparring.minhash import Near, Shingles
from sparring.spool import Spool
from sparring.text import forms

from ..probe.stats import Share, wilson
from .pairs import Pairs, product

UNDONE = ("unicode", "deobfuscate", "mask")  # bits 1, 2 and 4 of `undone`
MOST = 16  # rows of one form that are paired with all that is near; any further row is paired with these
PIECE, CHARACTERS = 1024, 1 << 15  # texts that are read together, and of long ones characters
FEW = 16  # such pieces that are not worth a worker
_NEWLINE = 10

# Letters and what is written for them fall together, either way round: "see" and "533" read the same, and so do "is" and "15".
# In any script: where `unicode` must choose the one that a word is written in, both readings of it end in the same letters.
_SAME = {look: latin.lower().replace("l", "i") for look, latin in TO_LATIN.items()}
_SAME |= dict(zip("4@31l|05$7ьηωшєεσ", "aaeiiiosstbnwweeo", strict=True))


@dataclass(frozen=True, slots=True)
class TextDuplicates:
    """`pairs`: near duplicates with their similarity, the higher of the two readings'; `undone` (n,) uint8: which levels of the
    canonical form changed a row (`UNDONE`); `forms`: each row's form at level `mask`, on disk. The texts themselves stay as
    they came.

    `readings` are the masked form's and the folded one's pairs of distinct forms, without `MOST`. At most `left_out`
    pairs are missing from `pairs` because more than `MOST` rows have one form; each of their rows is in others.
    """

    pairs: Pairs
    undone: np.ndarray
    forms: Sequence[str]
    readings: tuple[Near, ...]
    left_out: int

    @property
    def recall(self) -> Share | None:
        """Share of near pairs that were found, of a sample that was searched exactly, with its interval; None without any."""
        found, sampled = (sum(getattr(reading, name) for reading in self.readings) for name in ("found", "sampled"))
        return wilson(found, sampled) if sampled else None

    @property
    def complete(self) -> bool:
        """Whether each pair that shares a band was looked at; false only where nearly everything is a near duplicate."""
        return all(reading.complete for reading in self.readings)


def find(texts: Iterable[str], *, threshold: float = 0.7) -> TextDuplicates:
    """Pairs of texts whose character 5-grams have a Jaccard similarity above `threshold` in one of two readings.

    *Masked*: the canonical form at level `mask`, which one campaign's texts share whatever their numbers and links. *Folded*:
    the form at level `unicode` without case, white space and punctuation, in which digits and signs count as the letters that
    they stand for: leet in any place and letters spaced out in any way change nothing.

    `texts` are gone through once; what is made of them stands on disk, and a part of it in memory at a time.
    """
    readable, masked, undone, content = Spool[str](), Spool[str](), bytearray(), bytearray()
    read = engines.in_order(engines.current().each(_read, _pieces(texts), few=FEW))
    for one, form, levels, digest in chain.from_iterable(read):
        readable.add(one)
        masked.add(form)
        undone.append(levels)
        content += digest
    n, by_content = len(undone), np.frombuffer(content, np.uint64)
    readings = tuple(
        minhash.near(minhash.shingled(read, make), threshold) for read, make in ((masked, minhash.shingles), (readable, folded))
    )
    expanded = [_rows(reading, by_content) for reading in readings]
    pairs = Pairs.of(n, *(np.concatenate([e[i] for e in expanded]) for i in range(3)))
    return TextDuplicates(pairs, np.frombuffer(undone, np.uint8), masked, readings, sum(e[3] for e in expanded))


def _pieces(texts: Iterable[str]) -> Iterator[list[str]]:
    piece, size = list[str](), 0
    for text in texts:
        piece.append(text)
        size += len(text)
        if len(piece) == PIECE or size >= CHARACTERS:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _read(texts: Sequence[str]) -> list[tuple[str, str, int, bytes]]:
    """(form at level `unicode`, at level `mask`, bits of `undone`, hash of the content) of each text."""
    out = []
    for text in texts:
        one, plain, form = forms(text)
        levels = (one != " ".join(text.split())) | (plain != one) << 1 | (form != plain.lower()) << 2
        out.append((one, form, levels, hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()))
    return out


def folded(readable: Sequence[str]) -> Shingles:
    """Shingles of texts at level `unicode` (white space is single blanks) as the eye takes them: see `find`."""
    codes = np.frombuffer("".join(f"{text}\n" for text in readable).lower().encode("utf-32-le", "surrogatepass"), np.uint32)
    if not len(codes):
        return minhash.of_codes(codes, np.zeros(0, np.int64))
    there = np.flatnonzero(np.bincount(codes))
    letter = np.zeros(there[-1] + 1, np.uint32)
    letter[there] = [_letter(chr(c)) for c in there]
    codes = letter[codes]
    codes = codes[codes > 0]
    ends = np.flatnonzero(codes == _NEWLINE)
    length = np.diff(ends, prepend=-1) - 1
    filled = np.where(length > 0, np.maximum(length, minhash.SIZE), 0)
    times = np.ones(len(codes), np.int64)
    times[ends] = filled - length  # the newline itself where a short text is filled up
    return minhash.of_codes(np.repeat(codes, times), filled)


def _letter(sign: str) -> int:
    """The code point of what `sign` is read as, 0 of what is passed over."""
    kind = unicodedata.category(sign)[0]
    kept = sign == "\n" or sign in _SAME or kind in "LMN" or (kind == "S" and not sign.isascii())
    return ord(_SAME.get(sign, sign)) if kept else 0


def _rows(near: Near, content: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Pairs of forms to pairs of rows, with their similarity, and how many were left out for `MOST`."""
    order = np.lexsort((content, near.same))  # rows of one form stand together, `start` at its first, not as they came
    form, start, size = np.unique(near.same[order], return_index=True, return_counts=True)
    one, two = np.searchsorted(form, near.row), np.searchsorted(form, near.other)
    several = np.flatnonzero(size > 1)
    one, two, similarity = np.r_[several, one], np.r_[several, two], np.r_[np.ones(len(several)), near.similarity]
    few, itself = np.minimum(size, MOST), one == two
    first = product(start[one], few[one], start[two], size[two])
    rest = product((start + few)[one], np.where(itself, 0, (size - few)[one]), start[two], few[two])
    row, other = (np.r_[first[i], rest[i]] for i in (0, 1))
    pair = np.r_[first[2], rest[2]]
    once = ~itself[pair] | (row < other)
    row, other, pair = order[row[once]], order[other[once]], pair[once]
    more = size - few
    out = np.where(itself, more[one] * (more[one] - 1) // 2, more[one] * more[two])
    return row, other, similarity[pair], int(out.sum())
