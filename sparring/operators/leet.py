from __future__ import annotations

from random import Random

from .base import CORE, WordOperator, pick, some

LEET = {"a": "4@", "e": "3", "i": "1", "o": "0", "s": "5$", "t": "7"}


class Leet(WordOperator):
    """Replaces inner letters of a word by digits and signs that look like them: "c4sh", "pr1ze"."""

    name = "leet"
    family = "character"
    preserves = "first and last letter of each word, its length, payload"
    undone_by = "deobfuscate"

    def can_edit(self, word: str) -> bool:
        core = CORE.fullmatch(word)
        if not core or not core[2].isascii() or not core[2].isalpha():
            return False
        # A word of mixed case, such as "iPad", would not come back in its own.
        return (core[2][1:].islower() or core[2].isupper()) and bool(_inner(core[2]))

    def edit(self, word: str, rng: Random) -> str:
        letters, last = list(word), -1
        for i in some(_inner(word), rng):
            if i > last + 1:  # never two in a row: no run of digits that reads as a number, no amount "$4"
                letters[i] = pick(LEET[word[i].lower()], rng)
                last = i
        return "".join(letters)


def _inner(word: str) -> list[int]:
    """Positions between the first and the last letter that have a look-alike."""
    return [i for i in range(1, len(word) - 1) if word[i].lower() in LEET and word[i - 1].isalpha() and word[i + 1].isalpha()]
