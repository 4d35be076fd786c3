from __future__ import annotations

import string
from collections.abc import Sequence
from random import Random

from ..confusables import SMALL_CAPITALS
from ..errors import JobError
from .base import WordOperator, pick

_FIRST = {  # where a style's A stands; its other capitals and its small letters follow
    "bold": 0x1D400, "italic": 0x1D434, "bold_italic": 0x1D468, "script": 0x1D49C, "bold_script": 0x1D4D0,
    "fraktur": 0x1D504, "double_struck": 0x1D538, "bold_fraktur": 0x1D56C, "sans": 0x1D5A0, "bold_sans": 0x1D5D4,
    "italic_sans": 0x1D608, "monospace": 0x1D670, "circled": 0x24B6,
}  # fmt: skip
_ELSEWHERE = {  # letters that Unicode had before it had the rest of their style
    "italic": {"h": "ℎ"},
    "script": dict(zip("BEFHILMRego", "ℬℰℱℋℐℒℳℛℯℊℴ", strict=True)),
    "fraktur": dict(zip("CHIRZ", "ℭℌℑℜℨ", strict=True)),
    "double_struck": dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True)),
}
_LETTERS = string.ascii_uppercase + string.ascii_lowercase
ALPHABETS = {
    style: str.maketrans({c: chr(first + i) for i, c in enumerate(_LETTERS)} | _ELSEWHERE.get(style, {}))
    for style, first in _FIRST.items()
} | {"small_capitals": str.maketrans(SMALL_CAPITALS)}  # capitals stay as they are


class Alphabet(WordOperator):
    """Writes the ASCII letters of a word in another of Unicode's alphabets: 𝐟𝐫𝐞𝐞, 𝔣𝔯𝔢𝔢, ⓕⓡⓔⓔ, ꜰʀᴇᴇ; `styles` names them."""

    name = "alphabet"
    family = "character"
    preserves = "every letter and its case, payload"
    undone_by = "unicode"

    def __init__(self, *, styles: Sequence[str] = tuple(ALPHABETS)):
        if unknown := set(styles) - ALPHABETS.keys() or not styles:
            raise JobError(f"expected alphabets out of {', '.join(ALPHABETS)}; got {unknown if styles else 'none'}")
        self.styles = tuple(styles)
        self._of_all = [ALPHABETS[s] for s in self.styles]
        self._of_capitals = [ALPHABETS[s] for s in self.styles if s != "small_capitals"]

    def can_edit(self, word: str) -> bool:
        return not set(_LETTERS if self._of_capitals else SMALL_CAPITALS).isdisjoint(word)

    def edit(self, word: str, rng: Random) -> str:
        return word.translate(pick(self._of_all if not SMALL_CAPITALS.keys().isdisjoint(word) else self._of_capitals, rng))
