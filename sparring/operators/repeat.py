from __future__ import annotations

from random import Random

from .base import CORE, WordOperator, pick

_VOWELS = frozenset("aeiouAEIOU")


class Repeat(WordOperator):
    """Stretches a vowel or the last letter of a word by two to four of its kind: "freeeee", "callll"."""

    # No canonical form undoes it: "VIII", "Schifffahrt" and "www" are ordinary text, and "freeee" is not "fre".
    name = "repeat"
    family = "character"
    preserves = "every letter and its order, payload"

    def can_edit(self, word: str) -> bool:
        core = CORE.fullmatch(word)
        return bool(core and len(core[2]) > 1 and core[2].isalpha() and core[2].lower() != core[2].upper())

    def edit(self, word: str, rng: Random) -> str:
        last = CORE.fullmatch(word).end(2) - 1  # type: ignore[union-attr]
        i = pick([*(i for i, c in enumerate(word) if c in _VOWELS and i != last), last], rng)
        return word[:i] + word[i] * (2 + int(rng.random() * 3)) + word[i:]
