from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable
from random import Random

from ..errors import MissingExtra
from .base import WordOperator


class Romanise(WordOperator):
    """Writes a word of another script in Latin letters, one by one: "приз" becomes "priz", "मुफ़्त" "muft"."""

    name = "romanise"
    family = "script"
    preserves = "how a word sounds, for one who reads the language in Latin letters; Latin words, payload"
    hides = True

    def __init__(self) -> None:
        _transliterator()

    def can_edit(self, word: str) -> bool:
        return any(map(_latin, word))

    def edit(self, word: str, rng: Random) -> str:
        result = "".join([_latin(c) or c for c in word if not _is_mark(c) or _latin(c)])
        return result.upper() if word.isupper() and len(word) > 1 else result


@functools.lru_cache(1 << 14)
def _latin(c: str) -> str:
    """A letter or vowel sign of another script in Latin letters (https://github.com/anyascii/anyascii), or nothing."""
    if c < "\u0370" or not (c.isalpha() or _is_mark(c)) or unicodedata.name(c, "").startswith(_LATIN_ALREADY):
        return ""
    latin = "".join(filter(str.isalpha, _transliterator()(c)))
    return latin if c.isupper() else latin.lower()


_LATIN_ALREADY = ("LATIN", "FULLWIDTH LATIN", "MODIFIER LETTER", "MATHEMATICAL", "COMBINING", "DOUBLE-STRUCK", "SCRIPT",
                  "BLACK-LETTER", "PLANCK", "KELVIN", "ANGSTROM", "FEMININE", "MASCULINE")  # fmt: skip


def _is_mark(c: str) -> bool:
    return c > "\u0370" and unicodedata.category(c)[0] == "M"


@functools.cache
def _transliterator() -> Callable[[str], str]:
    try:
        from anyascii import anyascii
    except ImportError:
        raise MissingExtra("the operator 'romanise'", "anyascii", "operators") from None
    return anyascii
