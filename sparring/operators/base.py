"""What an operator promises: the payload untouched, the same result for the same seed, no crash on any text."""

from __future__ import annotations

import functools
import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from random import Random
from typing import ClassVar, TypeVar

from ..text import Level, canonical, payload_spans
from ..text import payload as payload_of

Spans = tuple[tuple[int, int], ...]
T = TypeVar("T")

_WORD = re.compile(r"\S+")
_EDGE = r"([!-#%-/:-?[-^`{}~]*)"  # ASCII punctuation, but nothing that stands for a letter or a currency
CORE = re.compile(f"{_EDGE}([^\\W_]+){_EDGE}")  # a word of letters and digits, and the punctuation around it
_TAME = re.compile("[\x00-~£€‘’“”–—]*")
_canonical, _payload_of = functools.lru_cache(1024)(canonical), functools.lru_cache(1024)(payload_of)


class Operator(ABC):
    """A transform of text that keeps its label. The base class picks the words and guards the payload."""

    name: ClassVar[str]
    family: ClassVar[str]  # "character", "word", "script", "language", "context" or "dilution"
    preserves: ClassVar[str]  # what stays, in words
    undone_by: ClassVar[Level | None] = None  # canonical level at which the text equals the original's; None: irreversible
    undone_but_case: ClassVar[bool] = False  # level `unicode` brings every letter back, but not its case
    language: ClassVar[str | None] = None  # the one whose words it knows, BCP 47; None: any
    hides: ClassVar[bool] = False  # the screen of custody can't read through it: a text that it refuses is left as it is
    payload: tuple[str, ...] = ()  # a policy's own payload patterns

    @classmethod
    def normalised_away(cls) -> bool:
        """Whether a normaliser in front of a target undoes it: then no attack can succeed by it alone."""
        return cls.undone_by == "unicode" or cls.undone_but_case

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in sorted(vars(self).items()) if not k.startswith("_"))
        return f"{type(self).__name__}({settings})"

    @abstractmethod
    def apply(self, text: str, *, strength: float, rng: Random, words: Sequence[int] | None = None) -> str:
        """`text`, changed at `strength` in (0, 1]; `words` names the words to change by their position instead."""


class WordOperator(Operator):
    """Changes single words. Authors write `edit`; a word that holds payload is never shown to it."""

    def apply(self, text: str, *, strength: float, rng: Random, words: Sequence[int] | None = None) -> str:
        if self.hides and _refused(text):
            return text
        spans, able = _stretches(self, self.payload, text)
        if words is not None:
            chosen = sorted(set(words).intersection(able))
        else:
            chosen = sorted(rng.sample(able, min(len(able), max(1, round(strength * len(able))))))
        edits = self.edits(text, spans, chosen, rng)
        result = _replaced(text, spans, edits)
        if self.holds(text, result):
            return result
        fewest = max(1, len(edits) // 64)
        return _replaced(text, spans, self._sound(text, spans, list(edits.items()), {}, fewest))

    def spans(self, text: str) -> Spans:
        """(start, end) of each stretch that may be edited: what positions in `words` count."""
        return editable(text, self.payload)

    def can_edit(self, word: str) -> bool:
        return any(map(str.isalpha, word))

    @abstractmethod
    def edit(self, word: str, rng: Random) -> str:
        """One word for which `can_edit` holds, changed."""

    def edits(self, text: str, spans: Spans, chosen: Sequence[int], rng: Random) -> dict[int, str]:
        """Position -> new word; for an author whose edit depends on its neighbours."""
        return {i: self.edit(text[spans[i][0] : spans[i][1]], rng) for i in chosen}

    def _sound(
        self, text: str, spans: Spans, edits: list[tuple[int, str]], before: dict[int, str], fewest: int
    ) -> dict[int, str]:
        """The edits that hold together, and with those `before`: by halves down to `fewest`, for a clash is rare."""
        tried = before | dict(edits)
        if self.holds(text, _replaced(text, spans, tried)):
            return tried
        if len(edits) <= fewest:
            return before
        half = len(edits) // 2
        before = self._sound(text, spans, edits[:half], before, fewest)
        return self._sound(text, spans, edits[half:], before, fewest)

    def holds(self, text: str, result: str) -> bool:
        """Whether no payload was made or lost, and `undone_by` tells the truth."""
        return result == text or (
            payload_of(result, self.payload) == _payload_of(text, self.payload)
            and (not self.undone_by or self.undoes(text, result, self.undone_by))
        )

    def undoes(self, text: str, result: str, level: Level) -> bool:
        """For plain text an author vouches; what other scripts and hidden marks around a word do to it, we look at."""
        return bool(_TAME.fullmatch(text)) or canonical(result, level) == _canonical(text, level)


@functools.lru_cache(1024)
def editable(text: str, payload: tuple[str, ...] = ()) -> Spans:
    """(start, end) of each word that holds no payload."""
    kept = payload_spans(text, payload)
    ends = [end for _, end in kept]

    def is_free(start: int, end: int) -> bool:
        following = bisect_right(ends, start)
        return following == len(kept) or end <= kept[following][0]

    return tuple(m.span() for m in _WORD.finditer(text) if is_free(*m.span()))


def some(items: Sequence[T], rng: Random) -> list[T]:
    """Each item with even odds, and at least one."""
    return [item for item in items if rng.random() < 0.5] or [pick(items, rng)]


def pick(items: Sequence[T], rng: Random) -> T:
    """`rng.choice`, three times as fast."""
    return items[int(rng.random() * len(items))]


def in_case_of(like: str, word: str) -> str:
    """`word`, in capitals or with one where `like` is so."""
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word[0].upper() + word[1:] if like[0].isupper() else word


@functools.lru_cache(1024)
def _refused(text: str) -> bool:
    from ..custody import is_prohibited  # here, for its word lists take a while to load

    return is_prohibited(text)


@functools.lru_cache(1024)
def _stretches(operator: WordOperator, payload: tuple[str, ...], text: str) -> tuple[Spans, tuple[int, ...]]:
    """The stretches of a text, and the positions of those that the operator can edit; seeds come again and again."""
    spans = operator.spans(text)
    return spans, tuple(i for i, (start, end) in enumerate(spans) if start < end and operator.can_edit(text[start:end]))


def _replaced(text: str, spans: Spans, edits: dict[int, str]) -> str:
    parts: list[str] = []
    position = 0
    for i, edit in edits.items():
        parts += text[position : spans[i][0]], edit
        position = spans[i][1]
    return "".join(parts) + text[position:]
