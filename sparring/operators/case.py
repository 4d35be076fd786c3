from __future__ import annotations

from random import Random

from .base import WordOperator, pick, some


class Case(WordOperator):
    """Sets a word in capitals, in small letters, or some of its letters in the other case: "FREE", "fReE"."""

    name = "case"
    family = "character"
    preserves = "every letter but not its case, payload"
    undone_by = "mask"

    def can_edit(self, word: str) -> bool:
        return any(map(_turns, word))

    def edit(self, word: str, rng: Random) -> str:
        cased = [i for i, c in enumerate(word) if _turns(c)]
        kind = pick((str.islower, str.isupper, None), rng)
        turned = [i for i in cased if kind(word[i])] if kind else []
        letters = list(word)
        for i in turned or some(cased, rng):
            letters[i] = letters[i].swapcase()
        return "".join(letters)


def _turns(c: str) -> bool:
    """Whether a letter has another case that comes back as this one: "ß" and the dotless "ı" do not."""
    other = c.swapcase()
    return other != c and len(other) == 1 and other.swapcase() == c and other.lower() == c.lower()
