from __future__ import annotations

from itertools import pairwise
from random import Random

from .base import Spans, WordOperator


class Merge(WordOperator):
    """Joins a word with the next by dropping the space: "freeentry"."""

    name = "merge"
    family = "word"
    preserves = "every letter and its order, payload"

    def spans(self, text: str) -> Spans:
        """The gap behind each word; where payload stands in it, it is no mere space."""
        return tuple((end, start) for (_, end), (start, _) in pairwise(super().spans(text)))

    def can_edit(self, word: str) -> bool:
        return word.isspace()

    def edit(self, word: str, rng: Random) -> str:
        return ""
