from __future__ import annotations

from random import Random

from ..text import Level
from .base import WordOperator, pick, some

INVISIBLE = "\u200b\u200c\u200d\u2060"  # zero-width space, non-joiner, joiner, word joiner


class ZeroWidth(WordOperator):
    """Inserts characters without width between letters of a word."""

    name = "zero_width"
    family = "character"
    preserves = "what a reader sees, payload"
    undone_by = "unicode"

    def can_edit(self, word: str) -> bool:
        return bool(_gaps(word))

    def edit(self, word: str, rng: Random) -> str:
        letters = list(word)
        for i in some(_gaps(word), rng):
            letters[i] = pick(INVISIBLE, rng) + letters[i]
        return "".join(letters)

    def undoes(self, text: str, result: str, level: Level) -> bool:
        return True  # in any text: they are dropped before anything else is looked at


def _gaps(word: str) -> list[int]:
    return [i for i in range(1, len(word)) if word[i - 1].isalpha() and word[i].isalpha()]
