from __future__ import annotations

import string
from random import Random

from ..text import Level
from .base import WordOperator

_FULL = {ord(c): ord(c) - ord("A") + ord("Ａ") for c in string.ascii_letters}


class FullWidth(WordOperator):
    """Replaces the ASCII letters of a word by their full-width forms."""

    name = "full_width"
    family = "character"
    preserves = "every letter, payload"
    undone_by = "unicode"

    def can_edit(self, word: str) -> bool:
        return not set(string.ascii_letters).isdisjoint(word)

    def edit(self, word: str, rng: Random) -> str:
        return word.translate(_FULL)

    def undoes(self, text: str, result: str, level: Level) -> bool:
        return True  # in any text: they are narrowed before anything else is looked at
