"""A softmax policy over chains of operators, small enough to be a JSON file; plain numpy, no language model."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Annotated, Any

import numpy as np
import pydantic

from sparring.errors import JobError
from sparring.operators.base import Operator
from sparring.record import Step, digest
from sparring.yamls import read_model

LEVELS = (0.1, 0.25, 0.5)  # strengths
LONGEST = 3  # operators in a chain

Chain = tuple[int, ...]  # choices, see `ChainPolicy`


@dataclass(frozen=True, slots=True)
class ChainPolicy:
    """Choice c is operator c // len(levels) at level c % len(levels); the last choice ends the chain.

    The logits of a choice are `position` (LONGEST, choices), by where in the chain it stands, plus `previous`
    (operators, choices), by the operator before it. No operator comes twice. `queries` is what its training cost.
    """

    operators: tuple[str, ...]
    position: np.ndarray
    previous: np.ndarray
    levels: tuple[float, ...] = LEVELS
    queries: int = 0

    def __repr__(self) -> str:
        """Stands for the logits by their hash."""
        content = digest(self.levels, self.position.tolist(), self.previous.tolist())
        return f"ChainPolicy({', '.join(self.operators)}; {content}, queries={self.queries})"

    @classmethod
    def uniform(cls, operators: Sequence[str]) -> ChainPolicy:
        choices = len(operators) * len(LEVELS) + 1
        return cls(tuple(operators), np.zeros((LONGEST, choices)), np.zeros((len(operators), choices)))

    @property
    def stop(self) -> int:
        return len(self.operators) * len(self.levels)

    def odds(self, chain: Chain) -> np.ndarray:
        """(choices,) probabilities of what follows `chain`, which is shorter than `LONGEST` and has not ended."""
        logits = self.position[len(chain)].copy()
        if chain:
            logits += self.previous[self._operator(chain[-1])]
        else:
            logits[self.stop] = -np.inf
        for choice in chain:
            first = self._operator(choice) * len(self.levels)
            logits[first : first + len(self.levels)] = -np.inf
        p = np.exp(logits - logits.max())
        return p / p.sum()

    def draw(self, rng: Random) -> Chain:
        chain: Chain = ()
        while len(chain) < min(LONGEST, len(self.operators)):
            below = np.cumsum(self.odds(chain))
            choice = int(np.searchsorted(below, rng.random() * below[-1], side="right"))
            if choice == self.stop:
                break
            chain += (choice,)
        return chain

    def learned(self, chains: Sequence[Chain], advantages: Sequence[float] | np.ndarray, *, rate: float) -> ChainPolicy:
        """One step up the policy gradient: the mean over chains of advantage times the gradient of log P(chain)."""
        position, previous = np.zeros_like(self.position), np.zeros_like(self.previous)
        for chain, advantage in zip(chains, advantages, strict=True):
            ended = chain if len(chain) == min(LONGEST, len(self.operators)) else (*chain, self.stop)
            for i, choice in enumerate(ended):
                slope = -self.odds(ended[:i])
                slope[choice] += 1
                position[i] += advantage * slope
                if i:
                    previous[self._operator(ended[i - 1])] += advantage * slope
        step = rate / max(1, len(chains))
        return replace(self, position=self.position + step * position, previous=self.previous + step * previous)

    def names(self, chain: Chain) -> tuple[str, ...]:
        return tuple(self.operators[self._operator(choice)] for choice in chain)

    def steps(self, chain: Chain, rng: Random) -> tuple[Step, ...]:
        """The chain with a seed for each operator."""
        levels = [self.levels[choice % len(self.levels)] for choice in chain]
        return tuple(Step(name, level, rng.randrange(1 << 30)) for name, level in zip(self.names(chain), levels, strict=True))

    def _operator(self, choice: int) -> int:
        return choice // len(self.levels)

    def only(self, operators: Sequence[str]) -> ChainPolicy:
        """The policy over those of `operators` that it knows, in its own order. Raises `JobError` when it knows none."""
        kept = [i for i, name in enumerate(self.operators) if name in set(operators)]
        if not kept:
            raise JobError(
                f"expected a policy over some of {', '.join(operators)}; it knows {', '.join(self.operators)}. "
                "Fix: train it with this job's operators"
            )
        n = len(self.levels)
        choices = [c for i in kept for c in range(i * n, (i + 1) * n)] + [self.stop]
        names = tuple(self.operators[i] for i in kept)
        return replace(self, operators=names, position=self.position[:, choices], previous=self.previous[kept][:, choices])

    def to_json(self, **about: Any) -> dict[str, Any]:
        """`about` says what made it; it stands in the file and is not read back."""
        return {
            "format": 1, "operators": self.operators, "levels": self.levels, "queries": self.queries, "about": about,
            "position": np.round(self.position, 5).tolist(), "previous": np.round(self.previous, 5).tolist(),
        }  # fmt: skip

    @classmethod
    def load(cls, path: pathlib.Path) -> ChainPolicy:
        """Reads what `to_json` gave. Raises `JobError` when the file is none or its shapes do not fit together."""
        found = read_model(_File, path, JobError)
        made = cls(found.operators, np.array(found.position), np.array(found.previous), found.levels, found.queries)
        choices = made.stop + 1
        shapes = made.position.shape, made.previous.shape
        if shapes != ((LONGEST, choices), (len(made.operators), choices)):
            raise JobError(
                f"{path}: expected logits of shape {(LONGEST, choices)} and {(len(made.operators), choices)}; got "
                f"{shapes[0]} and {shapes[1]}. Fix: train the policy anew"
            )
        return made


Logits = tuple[tuple[pydantic.FiniteFloat, ...], ...]


class _File(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
    format: Annotated[int, pydantic.Field(ge=1, le=1)]
    operators: Annotated[tuple[str, ...], pydantic.Field(min_length=1)]
    levels: Annotated[tuple[Annotated[float, pydantic.Field(gt=0, le=1)], ...], pydantic.Field(min_length=1)]
    queries: Annotated[int, pydantic.Field(ge=0)]
    about: dict[str, Any]
    position: Logits
    previous: Logits


def apply(text: str, steps: Sequence[Step], operators: Mapping[str, Operator]) -> str:
    """`text` after every step; the same steps give the same text."""
    return functools.reduce(lambda t, s: operators[s.name].apply(t, strength=s.strength, rng=Random(s.seed)), steps, text)
