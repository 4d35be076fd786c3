from __future__ import annotations

from random import Random

from ..confusables import FROM_LATIN
from .base import WordOperator, pick, some


class Homoglyph(WordOperator):
    """Replaces some Latin letters of a word by letters of other scripts that look the same."""

    name = "homoglyph"
    family = "character"
    preserves = "what a reader sees, payload"
    undone_by = "unicode"

    def can_edit(self, word: str) -> bool:
        return not FROM_LATIN.keys().isdisjoint(word)

    def edit(self, word: str, rng: Random) -> str:
        letters = list(word)
        for i in some([i for i, c in enumerate(word) if c in FROM_LATIN], rng):
            letters[i] = pick(FROM_LATIN[letters[i]], rng)
        return "".join(letters)
