from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable
from itertools import groupby
from random import Random
from typing import Literal

from ..errors import JobError, MissingExtra
from .base import WordOperator

Source = Literal["anyascii", "uroman", "icu"]


class Romanise(WordOperator):
    """Writes a word of another script in Latin letters, by `source`: "приз" becomes "priz", "मुफ़्त" "muft"."""

    name = "romanise"
    family = "script"
    preserves = "how a word sounds, for one who reads the language in Latin letters; Latin words, payload"
    hides = True

    def __init__(self, *, source: Source = "anyascii"):
        if source not in _SOURCES:
            raise JobError(f"operator 'romanise': expected a source out of {', '.join(_SOURCES)}; got {source!r}")
        self.source = source
        _SOURCES[source]()

    def can_edit(self, word: str) -> bool:
        return any(_foreign(c) and _latin(c, self.source) for c in word)

    def edit(self, word: str, rng: Random) -> str:
        """Letter by letter where the source knows letters alone, else a whole run of another script at a time."""
        parts = word if self.source == "anyascii" else ["".join(run) for _, run in groupby(word, _foreign)]
        result = "".join(_latin(p, self.source) or ("" if all(map(_is_mark, p)) else p) if _foreign(p[0]) else p for p in parts)
        return result.upper() if word.isupper() and len(word) > 1 else result


@functools.lru_cache(1 << 14)
def _latin(run: str, source: str) -> str:
    """Letters and vowel signs of other scripts in Latin letters, or nothing."""
    latin = "".join(filter(str.isalpha, _SOURCES[source]()(run)))
    return latin if run[0].isupper() else latin.lower()


@functools.lru_cache(1 << 14)
def _foreign(c: str) -> bool:
    """A letter or vowel sign of another script than Latin."""
    return c >= "\u0370" and (c.isalpha() or _is_mark(c)) and not unicodedata.name(c, "").startswith(_LATIN_ALREADY)


_LATIN_ALREADY = ("LATIN", "FULLWIDTH LATIN", "MODIFIER LETTER", "MATHEMATICAL", "COMBINING", "DOUBLE-STRUCK", "SCRIPT",
                  "BLACK-LETTER", "PLANCK", "KELVIN", "ANGSTROM", "FEMININE", "MASCULINE")  # fmt: skip


def _is_mark(c: str) -> bool:
    return c > "\u0370" and unicodedata.category(c)[0] == "M"


@functools.cache
def _anyascii() -> Callable[[str], str]:
    """One character at a time, by a table for all of Unicode (https://github.com/anyascii/anyascii)."""
    try:
        from anyascii import anyascii
    except ImportError:
        raise MissingExtra("the operator 'romanise'", "anyascii", "operators") from None
    return anyascii


@functools.cache
def _uroman() -> Callable[[str], str]:
    """A word at a time, by rules of many scripts (Hermjakob, May & Knight 2018, https://github.com/isi-nlp/uroman). Its tables
    take two seconds to load."""
    try:
        from uroman import Uroman
    except ImportError:
        raise MissingExtra("the operator 'romanise' with source='uroman'", "uroman", "uroman") from None
    romanise = Uroman().romanize_string

    def of(run: str) -> str:
        return str(romanise(run)) if run.isprintable() else run

    return of


@functools.cache
def _icu() -> Callable[[str], str]:
    """A word at a time, by the transforms of CLDR (https://unicode-org.github.io/icu/userguide/transforms/general/)."""
    try:
        from icu import Transliterator
    except ImportError:
        raise MissingExtra("the operator 'romanise' with source='icu'", "PyICU", "icu") from None
    made = Transliterator.createInstance("Any-Latin; Latin-ASCII")
    return lambda run: str(made.transliterate(run))


_SOURCES: dict[str, Callable[[], Callable[[str], str]]] = {"anyascii": _anyascii, "uroman": _uroman, "icu": _icu}
