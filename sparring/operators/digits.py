from __future__ import annotations

import re
from itertools import pairwise
from random import Random

from .base import Spans, WordOperator

_NUMBER = re.compile(r"(\(?)(0|[1-9]\d?)([.,!?;:)]*)")
_UP_TO_19 = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_AMOUNT = re.compile(r"\d|[£$€¥₹%]", re.A)
_MONEY = "pounds pound quid dollars dollar bucks euros euro cents cent pence p c gbp usd eur inr rs rupees percent"
_BEFORE = frozenset(f"{_MONEY} code pin ext extension dial no nr".split())
_BEHIND = frozenset(f"{_MONEY} am pm".split())


class Digits(WordOperator):
    """Writes a number below 100 that stands alone as an English word: "2 tickets", "two tickets"."""

    name = "digits"
    family = "word"
    language = "en"
    preserves = "meaning, word count, payload; every number that may be part of an amount, a code or a phone number"

    def spans(self, text: str) -> Spans:
        """Each word; an empty stretch for one beside a number, a currency or a word such as "code"."""
        ends = [(0, 0), *(m.span() for m in re.finditer(r"\S+", text)), (len(text), len(text))]
        beside = {b: (a, c) for (a, b), (_, c) in pairwise(list(pairwise(ends)))}
        return tuple((a, b) if _alone(text, *beside[a, b]) else (a, a) for a, b in super().spans(text))

    def can_edit(self, word: str) -> bool:
        return bool(_NUMBER.fullmatch(word))

    def edit(self, word: str, rng: Random) -> str:
        before, number, after = _NUMBER.fullmatch(word).groups()  # type: ignore[union-attr]
        return before + in_words(int(number)) + after


def in_words(number: int) -> str:
    """0 to 99."""
    tens, ones = divmod(number, 10)
    if number < 20:
        return _UP_TO_19[number]
    return _TENS[tens - 2] + (f"-{_UP_TO_19[ones]}" if ones else "")


def _alone(text: str, before: tuple[int, int], behind: tuple[int, int]) -> bool:
    a, b = text[slice(*before)].lower(), text[slice(*behind)].lower()
    return not (_AMOUNT.search(a) or _AMOUNT.search(b) or a.rstrip(".:") in _BEFORE or b.rstrip(".,!?;:)") in _BEHIND)
