from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from .base import CORE, Spans, WordOperator, pick

_ENDS_LONE = re.compile(r"(?<![^\W_])[^\W_]$")
_OPENS_LONE = re.compile(r"[^\W_](?![^\W_])")


class Spacing(WordOperator):
    """Spaces out the letters of a word with one separator: "f r e e", "f.r.e.e"."""

    name = "spacing"
    family = "character"
    preserves = "every letter and its order, payload"
    undone_by = "deobfuscate"

    def can_edit(self, word: str) -> bool:
        core = CORE.fullmatch(word)
        return bool(core and len(core[2]) > 2 and core[2].isalpha())

    def edit(self, word: str, rng: Random) -> str:
        return _spaced(word, pick(".-*", rng))

    def edits(self, text: str, spans: Spans, chosen: Sequence[int], rng: Random) -> dict[int, str]:
        """A space too, but not beside a single letter or a word spaced so: "a f r e e" would come back as "afree"."""
        edges = ((0, 0), *spans, (len(text), len(text)))
        edits: dict[int, str] = {}
        for i in chosen:
            before, (start, end), after = edges[i : i + 3]
            joins = (
                " " in edits.get(i - 1, "")
                or _ENDS_LONE.search(text[slice(*before)])
                or _OPENS_LONE.match(text[slice(*after)])
                or text[before[1] : start].strip()  # payload, which may end in a single letter
                or text[end : after[0]].strip()
            )
            word = text[start:end]
            edits[i] = self.edit(word, rng) if joins or rng.random() < 0.5 else _spaced(word, " ")
        return edits


def _spaced(word: str, separator: str) -> str:
    before, core, after = CORE.fullmatch(word).groups()  # type: ignore[union-attr]
    return before + separator.join(core) + after
