"""What Sparring never makes: sexual content that involves minors. A screen of text that refuses, whatever a flag says.

It stands on every prompt, seed and output, and on every policy, so that a category under another name or in another
language does not pass. It is lexical and deterministic: terms for minors and ages below eighteen (`custody_terms`, 19
languages) near sexual terms, and terms that are enough alone. A text is read in forms that undo look-alike letters,
zero-width characters, leet, masks (`w*rd`), spacing, joined words, and one slip of the pen in a word.

What a screen of words cannot do, and nobody should believe that it does: it knows no paraphrase, no euphemism or code
that is not listed, no age that must be worked out (a year of birth), no language that is not listed, no text hidden by
encryption, encoding or reversal, and nothing of what stands in images, audio or video. It is one layer. A generator of
images needs a screen of images; a language model needs its own safety training; people must report what they find.

It errs on the side of refusal: reports, helplines, medical and legal texts that name the offence are refused as well,
and so are rows where children are mentioned a few words from something sexual by chance. A prompt that says "never write
about minors" beside sexual terms is refused too: such a line is not needed here, leave it out.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from . import custody_terms as terms
from .confusables import TO_LATIN
from .errors import ProhibitedContent
from .text import canonical

if TYPE_CHECKING:
    from .policy import Category, Policy

CLEAR, MINOR, MAYBE_AGE, SEXUAL, SUGGESTIVE, ALONE = 1, 2, 4, 8, 16, 32
_BITS = {"clear": CLEAR, "minor": MINOR, "sexual": SEXUAL, "suggestive": SUGGESTIVE, "alone": ALONE}

# (of a minor, sexual): at most so many words apart in a text, in a policy's category, in texts read together.
_ANY = 10**9
_WINDOWS = {
    (CLEAR, SEXUAL): (50, _ANY, _ANY),
    (MINOR, SEXUAL): (12, 25, 40),
    (MAYBE_AGE, SEXUAL): (8, 12, 8),
    (CLEAR, SUGGESTIVE): (12, 25, 25),
    (MINOR, SUGGESTIVE): (4, 6, 4),
}
_TEXT, _CATEGORY, _TOGETHER = range(3)

_REFUSAL = (
    "expected text that Sparring may handle; got what reads as sexual content that involves minors, which it never makes. "
    "No policy, flag or setting lifts this. Fix: take it out"
)


def check_text(text: str, *parts: str) -> None:
    """Raises `ProhibitedContent` for `text`, for each of `parts` (a prompt, a seed, an output), and for all of them
    read together, so that what is split over them does not pass. The message repeats nothing of them."""
    if is_prohibited(text, *parts):
        raise ProhibitedContent(f"{_REFUSAL}.")


def is_prohibited(text: str, *parts: str) -> bool:
    """Whether `check_text` refuses."""
    if any(_judge(part, _TEXT) for part in (text, *parts)):
        return True
    return bool(parts) and _judge("\n".join((text, *parts)), _TOGETHER)


def check_policy(policy: Policy) -> None:
    """Raises `ProhibitedContent`, naming the category, for one that asks for sexual content with minors under another
    hazard, and for examples of it. A category of hazard `cse` may stand, for a classifier to know, but without examples.

    What says that it is forbidden may say so: `description`, `allowed`, `ambiguity`, and the definition and clauses of a
    category that is never generated. None of that may reach a generator without passing `check_text`.
    """
    for category in policy.categories:
        if reason := _why_refused(category):
            raise ProhibitedContent(f"category {category.name!r}: {reason}.")


def _why_refused(category: Category) -> str | None:
    if category.hazard == "cse" and category.examples:
        return "expected no examples under hazard `cse`; got some. No policy, flag or setting lifts this. Fix: remove them"
    if any(_judge(example, _CATEGORY) for example in category.examples):
        return f"{_REFUSAL} of `examples`"
    clauses = (f"{clause.id}: {clause.text}" for clause in category.clauses)
    said = "\n".join([category.name, category.definition, *clauses, *category.examples])
    if category.may_generate and _judge(said, _CATEGORY):
        return f"{_REFUSAL}, or give a category that only a classifier needs to know the hazard `cse`"
    return None


# --- one form for letters that read the same ----------------------------------------------------------------------


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
_LEET = str.maketrans("01!|3457@$8962", "oiiieastasbggz")
_LEET_L = _LEET | str.maketrans("1!|i", "llll")
_THRICE, _TWICE = re.compile(r"(.)\1{2,}"), re.compile(r"(.)\1+")


def _skeleton(text: str) -> str:
    """A canonical text with case folded, and whatever only looks different."""
    return text.lower() if text.isascii() else text.translate(_LOOKS).casefold().translate(_FOLDED)


def _fold(word: str, leet: dict[int, int] = _LEET_L) -> str:
    """A word of a skeleton without leet, and with what stands thrice cut to two. With `_LEET_L`, 1, i and l are one,
    for a capital I reads as l."""
    return word if word.isdecimal() and len(word) > 1 else _THRICE.sub(r"\1\1", word.translate(leet))


def _term(written: str, leet: dict[int, int] = _LEET_L) -> str:
    return "".join(_fold(part, leet) for part in _skeleton(canonical(written.strip("*+").replace("_", " "))).split())


def _pattern(written: str) -> str:
    """A regular expression over skeletons; what is ASCII in it is taken as it is."""
    return "".join(c if c.isascii() else _skeleton(c) for c in unicodedata.normalize("NFKC", written))


# --- the lists, ready to be looked up -----------------------------------------------------------------------------


def _slips(word: str) -> Iterator[str]:
    """`word` with one inner letter dropped, doubled, or swapped with the next inner one."""
    for i in range(1, len(word) - 1):
        yield word[:i] + word[i + 1 :]
        yield word[: i + 1] + word[i:]
        if i < len(word) - 2:
            yield word[:i] + word[i + 1] + word[i] + word[i + 2 :]


def _trie(words: Iterable[str]) -> str:
    """One regular expression for many words, the longest first; quick, because each letter is looked at once."""
    heads: dict[str, set[str]] = {}
    for word in words:
        heads.setdefault(word[:1], set()).add(word[1:])
    longer = "|".join(re.escape(head) + _trie(rest) for head, rest in sorted(heads.items()) if head)
    return f"(?:{longer}){'?' * ('' in heads)}" if longer else ""


class _Table(dict[str, int]):
    """Term -> bits, and the lengths that terms have."""

    def note(self, term: str, bits: int) -> None:
        self[term] = self.get(term, 0) | bits

    @functools.cached_property
    def lengths(self) -> list[int]:
        return sorted(set(map(len, self)))

    def at(self, word: str, i: int) -> Iterator[tuple[int, int]]:
        """(end, bits) of each term that stands in `word` at `i`, the shortest first."""
        for length in self.lengths:
            if i + length > len(word):
                break
            if bits := self.get(word[i : i + length]):
                yield i + length, bits


class _Lists:
    """The terms of segmented scripts, folded."""

    def __init__(self) -> None:
        self.whole, self.starts, self.slips = _Table(), _Table(), _Table()
        self.inside = _Table()  # in any word
        self.joinable = _Table()  # in a word that is made of terms and fillers
        self.all = _Table()
        self.sequences: set[str] = set()  # written apart
        self.open_ended: set[str] = set()  # may go on for a few letters
        for kinds in terms.SEGMENTED.values():
            for kind, words in kinds.items():
                for word in words.split():
                    self._add(word, _BITS[kind])
        self.fillers = _Table((_term(filler), 1) for filler in terms.FILLERS.split() if len(filler) > 1)
        self.innocent = {_term(word) for word in terms.INNOCENT.split()}
        self.innocent_starts = tuple(_term(word) for word in terms.INNOCENT_STARTS.split())
        self.innocent_inside = re.compile(_trie(map(_term, terms.INNOCENT_INSIDE.split())))

    def _add(self, word: str, bits: int) -> None:
        term, starts, short = _term(word), word[-1] in "*+", word.strip("*+") in terms.SHORT.split()
        self.all.note(term, bits)
        if len(term) > 4 or short:
            self.joinable.note(term, bits)
        if word.endswith("+") or len(term) > 7:
            self.inside.note(term, bits)
        if "_" in word:
            self.sequences.add(term)
        if starts and ("_" in word or len(term) > 5):
            self.open_ended.add(term)
        if "_" in word:
            return
        (self.starts if starts else self.whole).note(term, bits)
        if len(term) > 4 or short:
            for slip in _slips(_term(word, _LEET)):
                self.slips.note(slip, bits)
                if starts and len(term) > 5:
                    self.starts.note(slip.translate(_LEET_L), bits)


_LISTS = _Lists()
_OF_SEX = SEXUAL | SUGGESTIVE | ALONE
_TERM_OF_SEX = re.compile(_trie(term for term, bits in _LISTS.all.items() if bits & _OF_SEX))


class _Word(NamedTuple):
    bits: int
    folded: str


class _Words(dict[str, _Word]):
    """Token -> what it denotes; remembered, because the words of a language come again and again."""

    def __missing__(self, token: str) -> _Word:
        word = _Word(_bits(token), _fold(token))
        if len(token) < 40:
            if len(self) > 50_000:
                self.clear()
            self[token] = word
        return word


_WORDS = _Words()


def _bits(token: str) -> int:
    """What a token denotes, in any of the ways that it can be written."""
    folded = _fold(token)
    if folded in _LISTS.innocent or folded.startswith(_LISTS.innocent_starts):
        return 0
    if len(folded) > 5:
        folded = _LISTS.innocent_inside.sub("-", folded)
    as_written = _fold(token, _LEET)
    bits = _look_up(folded, as_written)
    if _TWICE.search(folded):
        bits |= _look_up(_TWICE.sub(r"\1", folded), _TWICE.sub(r"\1", as_written))
    if len(folded) > 5:
        bits |= _joined(folded)
    if not token.isalpha():
        for part in re.findall(r"[^\W\d_]{3,}", token):
            bits |= _look_up(_fold(part), _fold(part, _LEET))
        if "*" in token or "#" in token:
            masked = re.compile(re.sub(r"[*#]", ".", token.translate(_LEET_L)))
            for term, of_term in _LISTS.all.items():
                if len(term) == len(token) and masked.fullmatch(term):
                    bits |= of_term
    return bits


def _look_up(word: str, as_written: str) -> int:
    bits = _LISTS.whole.get(word, 0)
    for _, of_term in _LISTS.starts.at(word, 0):
        bits |= of_term
    return bits or _LISTS.slips.get(as_written, 0)


def _joined(word: str) -> int:
    """What a word denotes that may be several, written together."""
    bits = 0
    if word.endswith("sex"):
        bits |= SEXUAL | _LISTS.all.get(word[:-3], 0)
    if word.startswith("sex"):
        bits |= _LISTS.all.get(word[3:], 0)
    reached = {0: 0}  # how far terms and fillers lead from the start -> bits of the terms among them
    for i in range(len(word)):
        for _, of_term in _LISTS.inside.at(word, i):
            bits |= of_term
        if (so_far := reached.get(i)) is None:
            continue
        for end, of_term in _LISTS.joinable.at(word, i):
            # A term that only starts words goes on for a few letters.
            more = 5 if end - i > 5 and word[i:end] in _LISTS.starts else 1
            for far in range(end, min(end + more, len(word) + 1)):
                reached[far] = reached.get(far, 0) | so_far | of_term
        for end, _ in _LISTS.fillers.at(word, i):
            reached[end] = reached.get(end, 0) | so_far
        if word[i] in "ac" and len(word) - i > 3:
            reached[i + 1] = reached.get(i + 1, 0) | so_far
    return bits | reached.get(len(word), 0)


# --- scripts that do not write words apart ------------------------------------------------------------------------

_HAN = "\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f"  # kana and Thai as well
_OTHERS = f"\u0620-\u06ff\u0900-\u0dff\uac00-\ud7a3{_HAN}"
_IS_UNSEGMENTED = re.compile(f"[{_OTHERS}]")
_BETWEEN = re.compile(
    rf"(?<=[{_OTHERS}])[^\w\s\u0600-\u0dff\u0e00-\u0e7f]+(?=[{_OTHERS}])|(?<=[{_HAN}])\s+(?=[{_HAN}])"
    r"|(?<=\b[\uac00-\ud7a3])\s(?=[\uac00-\ud7a3]\b)"
)


def _unsegmented() -> dict[int, re.Pattern[str]]:
    patterns: dict[int, list[str]] = {}
    for kinds in terms.UNSEGMENTED.values():
        for kind, words in kinds.items():
            patterns.setdefault(_BITS[kind], []).extend(map(_pattern, words.split()))
    return {bits: re.compile("|".join(found)) for bits, found in patterns.items()}


_UNSEGMENTED = _unsegmented()
_UNSEGMENTED_OF_SEX = re.compile("|".join(p.pattern for bits, p in _UNSEGMENTED.items() if bits & _OF_SEX))


# --- ages below eighteen --------------------------------------------------------------------------------------------


def _either(patterns: Iterable[str]) -> str:
    return "|".join(map(_pattern, patterns))


_NUMBERS = _trie(_skeleton(canonical(number.replace("_", " "))) for number in terms.NUMBERS.split())
_WORD_NUMBER = re.compile(rf"(?P<eighteen>{_either(terms.EIGHTEEN)})|\b{_NUMBERS}|{_either(terms.UNSEGMENTED_NUMBERS.split())}")


def _ages() -> list[tuple[int, re.Pattern[str]]]:
    below = r"(?:(?:(?<!\d)(?<!\d[.,:])(?<![£$€])(?:1[0-7]|[1-9])|(?<![\w£$€])[il|!][0-7])(?!\d))"
    up_to = r"(?:(?<!\d)(?:1[0-8]|[1-9])(?!\d))"
    gap, unit, unit_or_time = r"[\s\-‐-―]{0,2}", _either(terms.AGE), _either(terms.AGE_OR_TIME)
    found = [
        (CLEAR, rf"{below}{gap}(?:{unit})"),
        (CLEAR, rf"(?:{_either(terms.AGED)})[^\w\s<>]{{0,3}}\s*{below}(?![\w%]|[.,:]\d)"),
        (CLEAR, r"(?<!\d)(?:1[0-2]|[1-9])(?:st|nd|rd|th)[ -]?grade"),
        (MAYBE_AGE, rf"{below}{gap}(?:{unit_or_time})"),
        (MINOR, r"\b(?:[mf] ?/? ?1[0-7]|1[0-7]/? ?[mf])\b"),
    ]
    found += [(MINOR, aged.replace("NUMBER", rf"\s*{below}") + terms.NO_AGE) for aged in terms.IS_AGED]
    for under in map(_pattern, terms.UNDER):
        under = under.replace("UNIT", f"{gap}(?:{unit}|{unit_or_time})")
        found.append((CLEAR, under.replace("NUMBER", rf"\s*{up_to}")))
    return [(bits, re.compile(pattern)) for bits, pattern in found]


_AGES = _ages()
_TIME = re.compile(rf"(?<!\w)(?:{_either(terms.TIME)})\s+$")


def _ages_in(view: str) -> Iterator[tuple[int, int]]:
    """(bits, position) of each age below eighteen and each span of time that may be one."""
    view = _WORD_NUMBER.sub(lambda n: ("18" if n["eighteen"] else "7").rjust(len(n[0])), view)
    if not re.search(r"\d", view):
        return
    for bits, pattern in _AGES:
        for match in pattern.finditer(view):
            if bits != MAYBE_AGE or not _TIME.search(view[max(0, match.start() - 20) : match.start()]):
                yield bits, match.start()


# --- the judgement --------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"[@$]*[^\W_]+(?:[@$!|*#]+[^\W_]+)*")
_TOKEN_OR_RUN = re.compile(
    rf"[{_HAN}]{{1,2}}|[\u0900-\u0dff]+|[@$]*(?:(?![{_HAN}])[^\W_])+(?:[@$!|*#]+(?:(?![{_HAN}])[^\W_])+)*"
)
# Where `deobfuscate` may find something to undo, and what it leaves: "c.h.i.ll.d".
_DISGUISED = re.compile(
    r"[A-Za-z][013457@$|]|[013457@$|][A-Za-z]|(?<![^\W_])[^\W_]{1,3}(?:(?:[^\w\s]|_){1,2}[^\W_]{1,3}){2}(?![^\W_])"
    r"|(?<![^\W_])[^\W_]([ .\-_*'·])[^\W_]\1[^\W_](?![^\W_])"
)
_SPLIT = re.compile(r"(?<![^\W_])[^\W_]{1,3}(?:(?:[^\w\s]|_){1,2}[^\W_]{1,3}){2,}(?![^\W_])")
_BENIGN = re.compile(_either(terms.BENIGN))


def _judge(text: str, scope: int) -> bool:
    """Whether `text` reads as sexual content with minors in any of the forms that it is read in."""
    text = canonical(text)
    view = _skeleton(text)
    if _read(view, scope):
        return True
    if _DISGUISED.search(text):
        views = {
            _skeleton(canonical(text, "deobfuscate")),
            _SPLIT.sub(lambda split: re.sub(r"[\W_]", "", split[0]), view),
        }
        if any(_read(other, scope) for other in views - {view}):
            return True
    return not view.isascii() and (closed := _BETWEEN.sub("", view)) != view and _read(closed, scope)


def _read(view: str, scope: int) -> bool:
    """The quick part: most texts hold nothing sexual and are done here."""
    unsegmented = not view.isascii() and _IS_UNSEGMENTED.search(view) is not None
    words = [_WORDS[token] for token in (_TOKEN_OR_RUN if unsegmented else _TOKEN).findall(view)]
    bits = 0
    for word in words:
        bits |= word.bits
    if not (
        bits & _OF_SEX
        or _TERM_OF_SEX.search("".join([word.folded for word in words]))
        or (unsegmented and _UNSEGMENTED_OF_SEX.search(view))
    ):
        return False
    return _weigh(_BENIGN.sub(" ", view) if scope == _TEXT else view, scope)


def _weigh(view: str, scope: int) -> bool:
    """The slow part: where each term stands, and whether a minor stands near something sexual."""
    tokens = list(_TOKEN_OR_RUN.finditer(view))
    starts = [token.start() for token in tokens]
    at: dict[int, list[int]] = {bit: [] for bit in (*_BITS.values(), MAYBE_AGE)}

    def note(bits: int, i: int) -> None:
        for bit, places in at.items():
            if bits & bit:
                places.append(i)

    for i, token in enumerate(tokens):
        if bits := _WORDS[token[0]].bits:
            note(bits, i)
    for bits, i in _pieced_together(view, tokens):
        note(bits, i)
    for bits, pattern in _UNSEGMENTED.items() if not view.isascii() else ():
        for match in pattern.finditer(view):
            note(bits, bisect_right(starts, match.start()) - 1)
    if at[ALONE] or not (at[SEXUAL] or at[SUGGESTIVE]):
        return bool(at[ALONE])
    for bits, position in _ages_in(view):
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
    pieces = [_WORDS[token[0]].folded for token in tokens]
    longest = _LISTS.all.lengths[-1]
    for first in range(len(pieces)):
        text, spaced, single = pieces[first], False, len(pieces[first]) == 1
        for last in range(first + 1, len(pieces)):
            text += pieces[last]
            if len(text) > longest + 3:
                break
            spaced |= " " in view[tokens[last - 1].end() : tokens[last].start()]
            single &= len(pieces[last]) == 1
            if bits := _LISTS.all.get(text):
                # Two words that happen to add up to a short term ("por no") are no disguise.
                if text in _LISTS.sequences or single or len(text) > (5 if spaced else 3):
                    yield bits, first
            elif stem := next((text[:-k] for k in (1, 2, 3) if text[:-k] in _LISTS.open_ended), None):
                yield _LISTS.all[stem], first
