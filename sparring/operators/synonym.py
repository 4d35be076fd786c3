from __future__ import annotations

import functools
from random import Random
from typing import Literal

from ..errors import JobError
from . import thesaurus
from .base import CORE, WordOperator, in_case_of, pick

# Below, embeddings bring in opposites and what goes together; WordNet's synonyms need only be in the sense at hand.
_SIMILARITY = {"embeddings": 0.55, "wordnet": 0.3}


class Synonym(WordOperator):
    """Replaces an English word by one of like meaning, by `source`: nearest in embeddings, or of one sense in wordnet."""

    name = "synonym"
    family = "word"
    language = "en"
    preserves = "meaning as far as the source knows it, the word's ending, word count, capitalisation, payload"

    def __init__(self, *, source: Literal["embeddings", "wordnet"] = "embeddings", similarity: float | None = None):
        if source not in _SIMILARITY:
            raise JobError(f"expected a source out of {', '.join(_SIMILARITY)}; got {source!r}")
        self.source, self.similarity = source, _SIMILARITY[source] if similarity is None else similarity
        if not 0 < self.similarity <= 1:
            raise JobError(f"expected a similarity, a mean cosine in (0, 1]; got {similarity!r}")
        thesaurus.check(source)
        near = thesaurus.near if source == "embeddings" else thesaurus.synonyms
        self._of = functools.lru_cache(1 << 14)(functools.partial(near, similarity=self.similarity))

    def can_edit(self, word: str) -> bool:
        core = CORE.fullmatch(word)
        return bool(core and core[2].isascii() and self._of(core[2].lower()))

    def edit(self, word: str, rng: Random) -> str:
        before, core, after = CORE.fullmatch(word).groups()  # type: ignore[union-attr]
        return before + in_case_of(core, pick(self._of(core.lower()), rng)) + after
