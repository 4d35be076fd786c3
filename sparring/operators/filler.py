from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

from .base import Spans, WordOperator, pick

WORDS = ("lol", "haha", "hmm", "ok", "yeah", "oh", "u know", "i mean", "anyway", "btw", "hey")


class Filler(WordOperator):
    """Puts a filler between a word and the next, as people do in chat: "free lol entry"; `words` are those it draws from."""

    name = "filler"
    family = "context"
    language = "en"
    preserves = "every character of the original, in order; the statement that they make"

    def __init__(self, *, words: Sequence[str] = WORDS):
        self.words = tuple(words)

    def spans(self, text: str) -> Spans:
        """The gap behind each word; where payload stands in it, it is no mere space."""
        return tuple((end, start) for (_, end), (start, _) in pairwise(super().spans(text)))

    def can_edit(self, word: str) -> bool:
        return word.isspace()

    def edit(self, word: str, rng: Random) -> str:
        return f" {pick(self.words, rng)}{word}"
