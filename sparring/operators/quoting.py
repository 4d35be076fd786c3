from __future__ import annotations

from collections.abc import Sequence
from random import Random

from ..text import payload
from .base import Operator, editable

_FRAMES = (
    "Fwd: {}",
    "FW: {}",
    "> {}",
    "my friend got this: {}",
    "look what they sent me: {}",
    "it says: {}",
    "{}\n-- forwarded",
)


class Quoting(Operator):
    """Presents the whole text as forwarded or reported: "Fwd: ...", "my friend got this: ..."."""

    name = "quoting"
    family = "context"
    language = "en"
    preserves = (
        "every character of the original, in order; the label only under a policy that holds for quoted text: many "
        "allow reports, warnings and counter-speech"
    )

    def apply(self, text: str, *, strength: float, rng: Random, words: Sequence[int] | None = None) -> str:
        """One frame round the text at any strength; positions in `words` name the frame. Payload alone is not quoted."""
        if not editable(text, self.payload) or not any(map(str.isalpha, text)):
            return text
        frames = [_FRAMES[i] for i in words[:1] if i < len(_FRAMES)] if words is not None else rng.sample(_FRAMES, len(_FRAMES))
        for frame in frames:
            result = frame.replace("{}", text.replace("\n", "\n> ") if frame.startswith(">") else text)
            if payload(result, self.payload) == payload(text, self.payload):
                return result
        return text
