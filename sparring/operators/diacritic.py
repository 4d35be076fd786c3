from __future__ import annotations

from random import Random

from .base import WordOperator, pick, some

_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0307\u0308\u030a\u030c\u0323\u0331"
_LINES = "\u0332\u0336"  # below and through a letter; no letter of any language is made with them


class Diacritic(WordOperator):
    """Puts accents on some letters of a word, and lines on Greek, Cyrillic or Armenian ones: "fréë", "п̲риз"."""

    name = "diacritic"
    family = "character"
    preserves = "every letter below its mark, payload"
    undone_by = "unicode"

    def can_edit(self, word: str) -> bool:
        return bool(_letters(word))

    def edit(self, word: str, rng: Random) -> str:
        letters = list(word)
        for i in some(_letters(word), rng):
            letters[i] += pick(_ACCENTS if letters[i].isascii() else _LINES, rng)
        return "".join(letters)


def _letters(word: str) -> list[int]:
    """Positions of the letters that may take a mark; none in a word of two scripts, which is disguised already."""
    found = [i for i, c in enumerate(word) if c.isalpha() and (c.isascii() or "\u0370" <= c < "\u0590")]
    return found if len({word[i].isascii() for i in found}) == 1 else []
