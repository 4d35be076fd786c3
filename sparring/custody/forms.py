"""The forms that a text is read in: one letter for those that read the same, words without leet, words told apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from ..confusables import TO_LATIN
from ..text import canonical


def _look_alikes() -> dict[int, str]:
    """Letters to plain ones: without marks, look-alikes, strokes and hooks (by their Unicode names), boxed letters."""
    found = {ord(look): latin for look, latin in TO_LATIN.items()}
    name = re.compile(
        r"LATIN (?:LETTER SMALL CAPITAL|(?:SMALL|CAPITAL) LETTER)(?: TURNED| REVERSED| DOTLESS| OPEN)? ([A-Z])(?: WITH .*)?"
    )
    for block in ((0xC0, 0x2B0), (0x370, 0x530), (0x1D00, 0x1DC0), (0x1E00, 0x2000), (0x2C60, 0x2C80), (0xA720, 0xA800)):
        for code in range(*block):
            base, *marks = list(unicodedata.normalize("NFD", chr(code)))
            if marks:
                found.setdefault(code, TO_LATIN.get(base, base))
            elif named := name.fullmatch(unicodedata.name(base, "")):
                found.setdefault(code, named[1].lower())
    for first in (0x1F150, 0x1F170, 0x1F1E6):
        found |= {first + i: chr(ord("a") + i) for i in range(26)}
    return found | dict.fromkeys(range(0x300, 0x370), "")


_LOOKS = _look_alikes()
# Spellings of one Arabic letter, vowel points and the stretching line; the soft sign, whose capital reads as b.
_FOLDED = _LOOKS | str.maketrans("أإآٱةىیکь", "ااااهييكb") | dict.fromkeys([0x640, 0x670, *range(0x64B, 0x656)], "")
_FOLDED |= {zero + digit: str(digit) for zero in (0x660, 0x6F0, 0x966, 0xE50) for digit in range(10)}
LEET = str.maketrans("01!|3457@$8962", "oiiieastasbggz")
LEET_L = LEET | str.maketrans("1!|i", "llll")
_THRICE, TWICE = re.compile(r"(.)\1{2,}"), re.compile(r"(.)\1+")


def skeleton(text: str) -> str:
    """A canonical text with case folded, and whatever only looks different."""
    return text.lower() if text.isascii() else text.translate(_LOOKS).casefold().translate(_FOLDED)


def fold(word: str, leet: dict[int, int] = LEET_L) -> str:
    """A word of a skeleton without leet, and with what stands thrice cut to two. With `LEET_L`, 1, i and l are one,
    for a capital I reads as l."""
    return word if word.isdecimal() and len(word) > 1 else _THRICE.sub(r"\1\1", word.translate(leet))


def as_term(written: str, leet: dict[int, int] = LEET_L) -> str:
    return "".join(fold(part, leet) for part in skeleton(canonical(written.strip("*+").replace("_", " "))).split())


def as_pattern(written: str) -> str:
    """A regular expression over skeletons; what is ASCII in it is taken as it is."""
    return "".join(c if c.isascii() else skeleton(c) for c in unicodedata.normalize("NFKC", written))


def either(patterns: Iterable[str]) -> str:
    return "|".join(map(as_pattern, patterns))


# Scripts that do not write words apart.
_HAN = "\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f"  # kana and Thai as well
_OTHERS = f"\u0620-\u06ff\u0900-\u0dff\uac00-\ud7a3{_HAN}"
IS_UNSEGMENTED = re.compile(f"[{_OTHERS}]")
BETWEEN = re.compile(
    rf"(?<=[{_OTHERS}])[^\w\s\u0600-\u0dff\u0e00-\u0e7f]+(?=[{_OTHERS}])|(?<=[{_HAN}])\s+(?=[{_HAN}])"
    r"|(?<=\b[\uac00-\ud7a3])\s(?=[\uac00-\ud7a3]\b)"
)

TOKEN = re.compile(r"[@$]*[^\W_]+(?:[@$!|*#]+[^\W_]+)*")
TOKEN_OR_RUN = re.compile(
    rf"[{_HAN}]{{1,2}}|[\u0900-\u0dff]+|[@$]*(?:(?![{_HAN}])[^\W_])+(?:[@$!|*#]+(?:(?![{_HAN}])[^\W_])+)*"
)
# Where `deobfuscate` may find something to undo, and what it leaves: "c.h.i.ll.d".
DISGUISED = re.compile(
    r"[A-Za-z][013457@$|]|[013457@$|][A-Za-z]|(?<![^\W_])[^\W_]{1,3}(?:(?:[^\w\s]|_){1,2}[^\W_]{1,3}){2}(?![^\W_])"
    r"|(?<![^\W_])[^\W_]([ .\-_*'·])[^\W_]\1[^\W_](?![^\W_])"
)
SPLIT = re.compile(r"(?<![^\W_])[^\W_]{1,3}(?:(?:[^\w\s]|_){1,2}[^\W_]{1,3}){2,}(?![^\W_])")
