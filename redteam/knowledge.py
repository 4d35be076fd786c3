"""What an attacker knows about a target before it meets a held-out seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .surrogate import Ngrams, Semantic

PLACES = ("behind", "before")  # where a phrase may stand
DOUBT = (0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A benign phrase: by place, the log-odds it takes away beyond the surrogate's guess, and what it costs in similarity
    when it is as long as the text it joins."""

    text: str
    extra: tuple[float, float] = (0.0, 0.0)
    cost: tuple[float, float] = (0.1, 0.2)


@dataclass(frozen=True, slots=True)
class Effect:
    """What an operator does to one word: `cost`, the similarity lost were every word edited; `trust`, how much of the
    surrogate's guess comes true; `doubt`, the standard deviation of what is left, in log-odds."""

    cost: float = 0.4
    trust: float = 0.7
    doubt: float = 0.3


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Learned on training rows only, at the price of `queries`.

    `ngrams` guesses the target's log-odds from a text's characters and `semantic` from its embedding, if there is a guide;
    `phrases` are benign and calm the target, best first, and `doubt` is how far off their gains are by place; `effects` by
    operator.
    """

    ngrams: Ngrams = field(default_factory=Ngrams)
    semantic: Semantic | None = None
    phrases: tuple[Phrase, ...] = ()
    doubt: tuple[float, float] = DOUBT
    effects: Mapping[str, Effect] = field(default_factory=dict)
    queries: int = 0
    unsteady: float = 0.0  # the most that a score differed when the same text was asked about twice

    @property
    def phrase_texts(self) -> tuple[str, ...]:
        return tuple(phrase.text for phrase in self.phrases)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Knowledge:
        semantic = found["semantic"]
        return cls(
            Ngrams(**found["ngrams"]),
            semantic and Semantic(tuple(semantic["weights"]), semantic["bias"], semantic["trust"]),
            tuple(Phrase(p["text"], tuple(p["extra"]), tuple(p["cost"])) for p in found["phrases"]),
            tuple(found["doubt"]),
            {name: Effect(**effect) for name, effect in found["effects"].items()},
            found["queries"],
            found["unsteady"],
        )


def log_odds(scores: Any) -> np.ndarray:
    clipped = np.clip(np.asarray(scores, np.float64), 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))
