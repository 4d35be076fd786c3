"""The judgement: whether a minor stands near something sexual, in any form of a text."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from ..text import canonical
from . import terms
from .ages import ages_in
from .forms import BETWEEN, DISGUISED, IS_UNSEGMENTED, SPLIT, TOKEN, TOKEN_OR_RUN, either, skeleton
from .lexicon import (
    ALONE,
    BITS,
    CLEAR,
    LISTS,
    MAYBE_AGE,
    MINOR,
    OF_SEX,
    SEXUAL,
    SUGGESTIVE,
    TERM_OF_SEX,
    UNSEGMENTED,
    UNSEGMENTED_OF_SEX,
    WORDS,
)

# (of a minor, sexual): at most so many words apart in a text, in a policy's category, in texts read together.
_ANY = 10**9
_WINDOWS = {
    (CLEAR, SEXUAL): (50, _ANY, _ANY),
    (MINOR, SEXUAL): (12, 25, 40),
    (MAYBE_AGE, SEXUAL): (8, 12, 8),
    (CLEAR, SUGGESTIVE): (12, 25, 25),
    (MINOR, SUGGESTIVE): (4, 6, 4),
}
TEXT, CATEGORY, TOGETHER = range(3)
_BENIGN = re.compile(either(terms.BENIGN))


def judge(text: str, scope: int) -> bool:
    """Whether `text` reads as sexual content with minors in any of the forms that it is read in."""
    text = canonical(text)
    view = skeleton(text)
    if _read(view, scope):
        return True
    if DISGUISED.search(text):
        views = {
            skeleton(canonical(text, "deobfuscate")),
            SPLIT.sub(lambda split: re.sub(r"[\W_]", "", split[0]), view),
        }
        if any(_read(other, scope) for other in views - {view}):
            return True
    return not view.isascii() and (closed := BETWEEN.sub("", view)) != view and _read(closed, scope)


def _read(view: str, scope: int) -> bool:
    """The quick part: most texts hold nothing sexual and are done here."""
    unsegmented = not view.isascii() and IS_UNSEGMENTED.search(view) is not None
    words = [WORDS[token] for token in (TOKEN_OR_RUN if unsegmented else TOKEN).findall(view)]
    bits = 0
    for word in words:
        bits |= word.bits
    if not (
        bits & OF_SEX
        or TERM_OF_SEX.search("".join([word.folded for word in words]))
        or (unsegmented and UNSEGMENTED_OF_SEX.search(view))
    ):
        return False
    return _weigh(_BENIGN.sub(" ", view) if scope == TEXT else view, scope)


def _weigh(view: str, scope: int) -> bool:
    """The slow part: where each term stands, and whether a minor stands near something sexual."""
    tokens = list(TOKEN_OR_RUN.finditer(view))
    starts = [token.start() for token in tokens]
    at: dict[int, list[int]] = {bit: [] for bit in (*BITS.values(), MAYBE_AGE)}

    def note(bits: int, i: int) -> None:
        for bit, places in at.items():
            if bits & bit:
                places.append(i)

    for i, token in enumerate(tokens):
        if bits := WORDS[token[0]].bits:
            note(bits, i)
    for bits, i in _pieced_together(view, tokens):
        note(bits, i)
    for bits, pattern in UNSEGMENTED.items() if not view.isascii() else ():
        for match in pattern.finditer(view):
            note(bits, bisect_right(starts, match.start()) - 1)
    if at[ALONE] or not (at[SEXUAL] or at[SUGGESTIVE]):
        return bool(at[ALONE])
    for bits, position in ages_in(view):
        note(bits, bisect_right(starts, position) - 1)
    return any(_near(at[minor], at[sexual], within[scope]) for (minor, sexual), within in _WINDOWS.items())


def _near(ones: list[int], others: list[int], within: int) -> bool:
    others = sorted(others)
    for one in ones:
        i = bisect_left(others, one - within)
        if i < len(others) and others[i] <= one + within:
            return True
    return False


def _pieced_together(view: str, tokens: list[re.Match[str]]) -> Iterator[tuple[int, int]]:
    """(bits, index of the first token) of each term that several tokens add up to: "c.h.i.l.d", "little girl"."""
    pieces = [WORDS[token[0]].folded for token in tokens]
    longest = LISTS.all.lengths[-1]
    for first in range(len(pieces)):
        text, spaced, single = pieces[first], False, len(pieces[first]) == 1
        for last in range(first + 1, len(pieces)):
            text += pieces[last]
            if len(text) > longest + 3:
                break
            spaced |= " " in view[tokens[last - 1].end() : tokens[last].start()]
            single &= len(pieces[last]) == 1
            if bits := LISTS.all.get(text):
                # Two words that happen to add up to a short term ("por no") are no disguise.
                if text in LISTS.sequences or single or len(text) > (5 if spaced else 3):
                    yield bits, first
            elif stem := next((text[:-k] for k in (1, 2, 3) if text[:-k] in LISTS.open_ended), None):
                yield LISTS.all[stem], first
