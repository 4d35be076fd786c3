from __future__ import annotations

import functools
import re
from random import Random

from ..confusables import TO_LATIN
from .base import CORE, WordOperator, in_case_of

_LETTERS = dict(
    part.split("=")
    for part in """
    shch=щ sh=ш ch=ч zh=ж kh=х th=т ph=ф ck=к qu=кв ee=и oo=у ya=я yu=ю yo=ё
    a=а b=б c=к d=д e=е f=ф g=г h=х i=и j=дж k=к l=л m=м n=н o=о p=п q=к r=р s=с t=т u=у v=в w=в x=кс y=й z=з
    """.split()
)
_LETTER = re.compile("|".join(sorted(_LETTERS, key=len, reverse=True)), re.I)


class Cyrillise(WordOperator):
    """Writes a word of Latin letters in Cyrillic ones, by sound: "free prize" becomes "фри призе"."""

    name = "cyrillise"
    family = "script"
    preserves = "how a word sounds, for one who reads both scripts; capitalisation, word count, payload"
    hides = True

    def can_edit(self, word: str) -> bool:
        core = CORE.fullmatch(word)
        if not core or len(core[2]) < 3 or not core[2].isascii() or not core[2].isalpha():
            return False
        # One of look-alikes alone, such as "рест", would be taken for a Latin word in disguise.
        return any(c.isalpha() and c not in TO_LATIN for c in _cyrillic(core[2]))

    def edit(self, word: str, rng: Random) -> str:
        before, core, after = CORE.fullmatch(word).groups()  # type: ignore[union-attr]
        return before + _cyrillic(core) + after


@functools.lru_cache(1 << 14)
def _cyrillic(word: str) -> str:
    cyrillic = _LETTER.sub(lambda m: in_case_of(m[0], _LETTERS[m[0].lower()]), word)
    return cyrillic.upper() if word.isupper() else cyrillic
