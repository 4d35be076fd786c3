from __future__ import annotations

from random import Random

from .base import WordOperator, pick


class Split(WordOperator):
    """Puts one space or hyphen into a word, two letters from its ends or more: "pri ze", "ac-count"."""

    # No canonical form undoes it: two short words side by side, and compounds with a hyphen, are ordinary text.
    name = "split"
    family = "word"
    preserves = "every letter and its order, payload"
    hides = True

    def can_edit(self, word: str) -> bool:
        return bool(_gaps(word))

    def edit(self, word: str, rng: Random) -> str:
        i = pick(_gaps(word), rng)
        return word[:i] + pick(" -", rng) + word[i:]


def _gaps(word: str) -> list[int]:
    return [i for i in range(2, len(word) - 1) if word[i - 2 : i + 2].isalpha()]
