from __future__ import annotations

from collections.abc import Sequence
from random import Random

from ..text import payload
from .base import Operator

# Small talk that fits a message of any kind: what stands in until phrases are learned from the user's benign rows.
SMALL_TALK = ("see you later", "hope you are well", "thanks again", "talk to you soon", "have a nice day")


class Dilution(Operator):
    """Adds benign phrases before or behind the text; an attack learns them from the target's training rows."""

    name = "dilution"
    family = "dilution"
    preserves = "every character of the original, in order"

    def __init__(self, phrases: Sequence[str] = SMALL_TALK):
        self.phrases = tuple(p for p in phrases if not payload(p))

    def __repr__(self) -> str:
        return f"Dilution({len(self.phrases)} phrases)"

    def apply(self, text: str, *, strength: float, rng: Random, words: Sequence[int] | None = None) -> str:
        """At most `strength` / 2 of the text's length is added, plus 20 characters; positions in `words` name phrases."""
        if words is not None:
            parts = [text, *(self.phrases[i] for i in words if i < len(self.phrases))]
        else:
            added = self._draw(len(text) * strength / 2 + 20, rng)
            parts = [*added, text] if rng.random() < 0.5 else [text, *added]
        result = " ".join(parts)
        return result if payload(result, self.payload) == payload(text, self.payload) else text

    def _draw(self, room: float, rng: Random) -> list[str]:
        fitting = [p for p in self.phrases if len(p) + 1 <= room]
        added: list[str] = []
        while fitting and len(added) < 8:
            added.append(rng.choice(fitting))
            room -= len(added[-1]) + 1
            fitting = [p for p in fitting if len(p) + 1 <= room]
        return added
