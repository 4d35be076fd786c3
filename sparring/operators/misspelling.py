from __future__ import annotations

import functools
from random import Random

from ..errors import MissingExtra, ReferenceNotFound
from ..refs import resolve
from .base import CORE, WordOperator, in_case_of, pick


class Misspelling(WordOperator):
    """Replaces an English word by a way in which people have misspelt it, out of codespell's list: "recieve"."""

    name = "misspelling"
    family = "word"
    language = "en"
    preserves = "meaning, word count, capitalisation, payload"
    hides = True

    def __init__(self) -> None:
        _misspelt()

    def can_edit(self, word: str) -> bool:
        core = CORE.fullmatch(word)
        return bool(core and core[2].lower() in _misspelt())

    def edit(self, word: str, rng: Random) -> str:
        before, core, after = CORE.fullmatch(word).groups()  # type: ignore[union-attr]
        return before + in_case_of(core, pick(_misspelt()[core.lower()], rng)) + after


@functools.cache
def _misspelt() -> dict[str, tuple[str, ...]]:
    """Word -> its misspellings (https://github.com/codespell-project/codespell); neither those of several words nor
    those with another first letter, which are slips on a keyboard."""
    try:
        path = resolve("pkg://codespell_lib/data/dictionary.txt")
    except ReferenceNotFound:
        raise MissingExtra("the operator 'misspelling'", "codespell", "operators") from None
    found: dict[str, list[str]] = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            wrong, _, right = line.strip().lower().partition("->")
            if right.isalpha() and wrong.isalpha() and right.isascii() and wrong.isascii() and right[0] == wrong[0]:
                found.setdefault(right, []).append(wrong)
    return {right: tuple(wrongs) for right, wrongs in found.items()}
