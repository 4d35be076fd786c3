"""Ages below eighteen, in numbers and in words."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..text import canonical
from . import terms
from .forms import as_pattern, either, skeleton
from .lexicon import CLEAR, MAYBE_AGE, MINOR, trie

_NUMBERS = trie(skeleton(canonical(number.replace("_", " "))) for number in terms.NUMBERS.split())
_WORD_NUMBER = re.compile(rf"(?P<eighteen>{either(terms.EIGHTEEN)})|\b{_NUMBERS}|{either(terms.UNSEGMENTED_NUMBERS.split())}")


def _ages() -> list[tuple[int, re.Pattern[str]]]:
    below = r"(?:(?:(?<!\d)(?<!\d[.,:])(?<![£$€])(?:1[0-7]|[1-9])|(?<![\w£$€])[il|!][0-7])(?!\d))"
    up_to = r"(?:(?<!\d)(?:1[0-8]|[1-9])(?!\d))"
    gap, unit, unit_or_time = r"[\s\-‐-―]{0,2}", either(terms.AGE), either(terms.AGE_OR_TIME)
    found = [
        (CLEAR, rf"{below}{gap}(?:{unit})"),
        (CLEAR, rf"(?:{either(terms.AGED)})[^\w\s<>]{{0,3}}\s*{below}(?![\w%]|[.,:]\d)"),
        (CLEAR, r"(?<!\d)(?:1[0-2]|[1-9])(?:st|nd|rd|th)[ -]?grade"),
        (MAYBE_AGE, rf"{below}{gap}(?:{unit_or_time})"),
        (MINOR, r"\b(?:[mf] ?/? ?1[0-7]|1[0-7]/? ?[mf])\b"),
    ]
    found += [(MINOR, aged.replace("NUMBER", rf"\s*{below}") + terms.NO_AGE) for aged in terms.IS_AGED]
    for under in map(as_pattern, terms.UNDER):
        under = under.replace("UNIT", f"{gap}(?:{unit}|{unit_or_time})")
        found.append((CLEAR, under.replace("NUMBER", rf"\s*{up_to}")))
    return [(bits, re.compile(pattern)) for bits, pattern in found]


_AGES = _ages()
_TIME = re.compile(rf"(?<!\w)(?:{either(terms.TIME)})\s+$")


def ages_in(view: str) -> Iterator[tuple[int, int]]:
    """(bits, position) of each age below eighteen and each span of time that may be one."""
    view = _WORD_NUMBER.sub(lambda n: ("18" if n["eighteen"] else "7").rjust(len(n[0])), view)
    if not re.search(r"\d", view):
        return
    for bits, pattern in _AGES:
        for match in pattern.finditer(view):
            if bits != MAYBE_AGE or not _TIME.search(view[max(0, match.start() - 20) : match.start()]):
                yield bits, match.start()
