from __future__ import annotations

from random import Random

from .base import WordOperator, pick

_INSIDE, _BEHIND = ".*_'~,", ("!", "!!", "!!!", "...", "?!", "~", "*")


class Punctuation(WordOperator):
    """Puts one punctuation mark between two letters of a word, or some behind it: "fr.ee", "free!!"."""

    # No canonical form undoes it: "a.m", "end.Start" and "don't" are ordinary text, and so are marks behind a word.
    name = "punctuation"
    family = "character"
    preserves = "every letter and its order, payload"
    hides = True

    def can_edit(self, word: str) -> bool:
        return word[-1:].isalpha() or bool(_gaps(word))

    def edit(self, word: str, rng: Random) -> str:
        gaps = _gaps(word)
        if word[-1].isalpha() and (not gaps or rng.random() < 0.5):
            return word + pick(_BEHIND, rng)
        i = pick(gaps, rng)
        return word[:i] + pick(_INSIDE, rng) + word[i:]


def _gaps(word: str) -> list[int]:
    return [i for i in range(1, len(word)) if word[i - 1].isalpha() and word[i].isalpha()]
