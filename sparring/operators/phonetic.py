from __future__ import annotations

import re
from random import Random

from .base import CORE, WordOperator, in_case_of, some

_RULES = {
    r"tions?\b": "shun", r"ight": "ite", r"dge": "j", r"ph": "f", r"ck": "k", r"\bkn": "n", r"\bwr": "r", r"\bwh": "w",
    r"qu": "kw", r"x": "ks", r"you": "yoo", r"ou(?=n|t\b)": "ow", r"ou(?=p|th)": "oo", r"ea(?=[cdlmnsv])": "ee",
    r"cc(?![eiy])": "k", r"c(?=[eiy])": "s", r"c(?!h)": "k", r"(?<=[aegilmnrdo])s\b": "z",
}  # fmt: skip
_SPELT = re.compile("|".join(f"({pattern})" for pattern in _RULES), re.I)
_SOUNDS = ("", *_RULES.values())


class Phonetic(WordOperator):
    """Spells an English word as it sounds, by rule: "kash", "klaim", "foto", "yoo"."""

    name = "phonetic"
    family = "character"
    language = "en"
    preserves = "how a word sounds, word count, capitalisation, payload"
    hides = True

    def can_edit(self, word: str) -> bool:
        core = CORE.fullmatch(word)
        return bool(core and len(core[2]) > 2 and core[2].isascii() and core[2].isalpha() and _SPELT.search(word))

    def edit(self, word: str, rng: Random) -> str:
        parts: list[str] = []
        position = 0
        for spelt in some(list(_SPELT.finditer(word)), rng):
            parts += word[position : spelt.start()], in_case_of(spelt[0], _SOUNDS[spelt.lastindex or 0])
            position = spelt.end()
        result = "".join(parts) + word[position:]
        return result.upper() if word.isupper() else result
