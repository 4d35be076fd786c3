"""Work that any stage has, as it is sent to a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import generation
from ..generation import Asked
from ..protocols import Completion, Embedder, Target, TextModel, probabilities
from .base import Engine

EMBEDDED = 1024  # rows of a piece that is embedded


@dataclass(frozen=True)
class Writing:
    """(prompts, the seeds that theirs were made of) -> an answer to each, in order."""

    model: TextModel
    held: Mapping[str, Any]
    gpu: ClassVar[bool] = True

    def __call__(self, piece: tuple[Sequence[Asked], Mapping[int, int]]) -> list[Completion]:
        asked, seeds = piece
        found: dict[int, Completion] = {}
        generation.stream(self.model, iter(asked), found.__setitem__, seeds, self.held)
        return [found[one.number] for one in asked]


@dataclass(frozen=True)
class Embedding:
    """Texts, or images as files -> (n, d) float32 unit rows."""

    model: Embedder
    gpu: ClassVar[bool] = True

    def __call__(self, items: Sequence[Any]) -> np.ndarray:
        return self.model.encode(items)


def encoded(engine: Engine, model: Embedder, items: Sequence[Any]) -> np.ndarray:
    """(n, d) float32 unit rows, in order, of `EMBEDDED` items at a time: all of them may be more than memory holds."""
    out = np.empty((len(items), model.dim), np.float32)
    pieces = (items[start : start + EMBEDDED] for start in range(0, len(items), EMBEDDED))
    for number, vectors in engine.each(Embedding(model), pieces):
        out[number * EMBEDDED : number * EMBEDDED + len(vectors)] = vectors
    return out


@dataclass(frozen=True)
class Scoring:
    """Texts, or images as files -> (n, k) probabilities; NaN in a row that failed."""

    target: Target
    gpu: ClassVar[bool] = True

    def __call__(self, items: Sequence[Any]) -> np.ndarray:
        return probabilities(self.target, items, failed_ok=True)
