"""The word lists, ready to be looked up: what a word denotes in any of the ways that it can be written."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from . import terms
from .forms import LEET, LEET_L, TWICE, as_pattern, as_term, fold

CLEAR, MINOR, MAYBE_AGE, SEXUAL, SUGGESTIVE, ALONE = 1, 2, 4, 8, 16, 32
BITS = {"clear": CLEAR, "minor": MINOR, "sexual": SEXUAL, "suggestive": SUGGESTIVE, "alone": ALONE}


def _slips(word: str) -> Iterator[str]:
    """`word` with one inner letter dropped, doubled, or swapped with the next inner one."""
    for i in range(1, len(word) - 1):
        yield word[:i] + word[i + 1 :]
        yield word[: i + 1] + word[i:]
        if i < len(word) - 2:
            yield word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def trie(words: Iterable[str]) -> str:
    """One regular expression for many words, the longest first; quick, because each letter is looked at once."""
    heads: dict[str, set[str]] = {}
    for word in words:
        heads.setdefault(word[:1], set()).add(word[1:])
    longer = "|".join(re.escape(head) + trie(rest) for head, rest in sorted(heads.items()) if head)
    return f"(?:{longer}){'?' * ('' in heads)}" if longer else ""


class _Table(dict[str, int]):
    """Term -> bits, and the lengths that terms have."""

    def note(self, term: str, bits: int) -> None:
        self[term] = self.get(term, 0) | bits

    @functools.cached_property
    def lengths(self) -> list[int]:
        return sorted(set(map(len, self)))

    def at(self, word: str, i: int) -> Iterator[tuple[int, int]]:
        """(end, bits) of each term that stands in `word` at `i`, the shortest first."""
        for length in self.lengths:
            if i + length > len(word):
                break
            if bits := self.get(word[i : i + length]):
                yield i + length, bits


class _Lists:
    """The terms of segmented scripts, folded."""

    def __init__(self) -> None:
        self.whole, self.starts, self.slips = _Table(), _Table(), _Table()
        self.inside = _Table()  # in any word
        self.joinable = _Table()  # in a word that is made of terms and fillers
        self.all = _Table()
        self.sequences: set[str] = set()  # written apart
        self.open_ended: set[str] = set()  # may go on for a few letters
        for kinds in terms.SEGMENTED.values():
            for kind, words in kinds.items():
                for word in words.split():
                    self._add(word, BITS[kind])
        self.fillers = _Table((as_term(filler), 1) for filler in terms.FILLERS.split() if len(filler) > 1)
        self.innocent = {as_term(word) for word in terms.INNOCENT.split()}
        self.innocent_starts = re.compile(trie(map(as_term, terms.INNOCENT_STARTS.split())))
        self.innocent_inside = re.compile(trie(map(as_term, terms.INNOCENT_INSIDE.split())))

    def _add(self, word: str, bits: int) -> None:
        term, starts, short = as_term(word), word[-1] in "*+", word.strip("*+") in terms.SHORT.split()
        self.all.note(term, bits)
        if len(term) > 4 or short:
            self.joinable.note(term, bits)
        if word.endswith("+") or len(term) > 7:
            self.inside.note(term, bits)
        if "_" in word:
            self.sequences.add(term)
        if starts and ("_" in word or len(term) > 5):
            self.open_ended.add(term)
        if "_" in word:
            return
        (self.starts if starts else self.whole).note(term, bits)
        if len(term) > 4 or short:
            for slip in _slips(as_term(word, LEET)):
                self.slips.note(slip, bits)
                if starts and len(term) > 5:
                    self.starts.note(slip.translate(LEET_L), bits)


LISTS = _Lists()
OF_SEX = SEXUAL | SUGGESTIVE | ALONE
TERM_OF_SEX = re.compile(trie(term for term, bits in LISTS.all.items() if bits & OF_SEX))


class _Word(NamedTuple):
    bits: int
    folded: str


class _Words(dict[str, _Word]):
    """Token -> what it denotes; remembered, because the words of a language come again and again."""

    def __missing__(self, token: str) -> _Word:
        word = _Word(_bits(token), fold(token))
        if len(token) < 40:
            if len(self) > 50_000:
                self.clear()
            self[token] = word
        return word


WORDS = _Words()


def _bits(token: str) -> int:
    """What a token denotes, in any of the ways that it can be written."""
    folded = fold(token)
    if folded in LISTS.innocent:
        return 0
    if innocent := LISTS.innocent_starts.match(folded):
        return _joined(folded[innocent.end() :])
    folded, as_written = LISTS.innocent_inside.sub("-", folded), fold(token, LEET)
    bits = _look_up(folded, as_written) | _joined(folded)
    if TWICE.search(folded):
        bits |= _look_up(TWICE.sub(r"\1", folded), TWICE.sub(r"\1", as_written))
    if not token.isalpha():
        for part in re.findall(r"[^\W\d_]{3,}", token):
            bits |= _look_up(fold(part), fold(part, LEET))
        if "*" in token or "#" in token:
            masked = re.compile(re.sub(r"[*#]", ".", token.translate(LEET_L)))
            for term, of_term in LISTS.all.items():
                if len(term) == len(token) and masked.fullmatch(term):
                    bits |= of_term
    return bits


def _look_up(word: str, as_written: str) -> int:
    bits = LISTS.whole.get(word, 0)
    for _, of_term in LISTS.starts.at(word, 0):
        bits |= of_term
    return bits or LISTS.slips.get(as_written, 0)


def _joined(word: str) -> int:
    """What a word denotes that may be several, written together."""
    if len(word) < 6:
        return 0
    bits = 0
    if word.endswith("sex"):
        bits |= SEXUAL | LISTS.all.get(word[:-3], 0)
    if word.startswith("sex"):
        bits |= LISTS.all.get(word[3:], 0)
    reached = {0: 0}  # how far terms and fillers lead from the start -> bits of the terms among them
    for i in range(len(word)):
        for _, of_term in LISTS.inside.at(word, i):
            bits |= of_term
        if (so_far := reached.get(i)) is None:
            continue
        for end, of_term in LISTS.joinable.at(word, i):
            # A term that only starts words goes on for a few letters.
            more = 5 if end - i > 5 and word[i:end] in LISTS.starts else 1
            for far in range(end, min(end + more, len(word) + 1)):
                reached[far] = reached.get(far, 0) | so_far | of_term
        for end, _ in LISTS.fillers.at(word, i):
            reached[end] = reached.get(end, 0) | so_far
        if word[i] in "ac" and len(word) - i > 3:
            reached[i + 1] = reached.get(i + 1, 0) | so_far
    return bits | reached.get(len(word), 0)


def _unsegmented() -> dict[int, re.Pattern[str]]:
    patterns: dict[int, list[str]] = {}
    for kinds in terms.UNSEGMENTED.values():
        for kind, words in kinds.items():
            patterns.setdefault(BITS[kind], []).extend(map(as_pattern, words.split()))
    return {bits: re.compile("|".join(found)) for bits, found in patterns.items()}


UNSEGMENTED = _unsegmented()
UNSEGMENTED_OF_SEX = re.compile("|".join(p.pattern for bits, p in UNSEGMENTED.items() if bits & OF_SEX))
