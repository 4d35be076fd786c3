from __future__ import annotations

from random import Random

from .base import WordOperator


class Typo(WordOperator):
    """Swaps, drops or doubles one inner letter of a word, as hasty typing does."""

    name = "typo"
    family = "character"
    preserves = "first and last letter of each word, word count, payload"

    def can_edit(self, word: str) -> bool:
        return sum(c.isalpha() for c in word) >= 4

    def edit(self, word: str, rng: Random) -> str:
        inner = [i for i, c in enumerate(word) if c.isalpha()][1:-1]
        if len(inner) < 2:
            return word
        i = rng.choice(inner[:-1])
        kind = rng.randrange(3)
        if kind == 0 and word[i] != word[i + 1]:
            return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
        return word[:i] + word[i + 1 :] if kind == 1 else word[:i] + word[i] + word[i:]
