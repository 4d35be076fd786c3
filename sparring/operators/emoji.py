from __future__ import annotations

import string
from random import Random

from ..text import NEGATIVE_LETTERS
from .base import WordOperator, pick

_STYLES = [
    {ord(c): first + i % 26 for i, c in enumerate(string.ascii_letters)} for first in NEGATIVE_LETTERS
]  # both cases: there are capitals only


class Emoji(WordOperator):
    """Writes the ASCII letters of a word as white letters on dark discs or squares, as emoji fonts draw them."""

    # Not as regional indicators: two of them in a row are drawn as a flag, and no reader takes a flag for its letters.
    name = "emoji"
    family = "character"
    preserves = "every letter but not its case, payload"
    undone_by = "mask"
    undone_but_case = True

    def can_edit(self, word: str) -> bool:
        return not set(string.ascii_letters).isdisjoint(word)

    def edit(self, word: str, rng: Random) -> str:
        return word.translate(pick(_STYLES, rng))
