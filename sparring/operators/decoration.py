from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

from .base import Spans, WordOperator, pick

SIGNS = ("✨", "🔥", "🎉", "👉", "⭐", "✅", "💥", "🎁", "👇", "💫")


class Decoration(WordOperator):
    """Puts an emoji between a word and the next: "free ✨ entry"; `signs` are those it draws from."""

    name = "decoration"
    family = "word"
    preserves = "every character of the original, in order"

    def __init__(self, *, signs: Sequence[str] = SIGNS):
        self.signs = tuple(signs)

    def spans(self, text: str) -> Spans:
        """The gap behind each word; where payload stands in it, it is no mere space."""
        return tuple((end, start) for (_, end), (start, _) in pairwise(super().spans(text)))

    def can_edit(self, word: str) -> bool:
        return word.isspace()

    def edit(self, word: str, rng: Random) -> str:
        return f" {pick(self.signs, rng)}{word}"
