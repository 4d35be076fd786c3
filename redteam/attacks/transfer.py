from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from sparring.errors import JobError
from sparring.operators.base import Operator
from sparring.protocols import Embedder, Target, violation_scores
from sparring.text import canonical

from ..engine import Ask, Candidate, Search, Seed
from ..knowledge import Knowledge, log_odds
from .base import Board, CanvasAttack
from .canvas import Canvas, State

SPARE = 0.005  # similarity that a sample keeps in hand
LEAST = 1.0  # log-odds to take from a surrogate that misses the seed already
ALIKE = 0.5  # of the log-odds needed: what a candidate loses in rank that shares all its changes with one before it


@dataclass(frozen=True, eq=False)
class Scored(Ask):
    """A second target's log-odds of violating, which cost no query."""

    surrogate: Target
    texts: tuple[str, ...]

    @classmethod
    def answer(cls, asked: Sequence[Scored], target: Target) -> list[np.ndarray]:
        texts = list(dict.fromkeys(text for one in asked for text in one.texts))
        scores = np.nan_to_num(violation_scores(asked[0].surrogate, texts, failed_ok=True), nan=1.0)  # as if it were caught
        odds = dict(zip(texts, log_odds(scores).tolist(), strict=True))
        return [np.array([odds[text] for text in one.texts]) for one in asked]


class Transfer(CanvasAttack):
    """Attacks a surrogate `free` times, which costs no query, and shows the target the best `shots` candidates, one by one;
    nothing is learned from its answers, so its rate is that of transfer alone.

    The surrogate is what warm-up fitted to the target's answers, on n-grams and on embeddings; or a second target that the
    job names: then warm-up asks that one too, and the target itself sees the seed and the shots alone.
    """

    def __init__(
        self, operators: Mapping[str, Operator], knowledge: Knowledge, *, shots: int = 10, free: int = 60, width: int = 6,
        longer: float = 1.5, near: float = 0.2, guide: Embedder | None = None, surrogate: Target | None = None,
    ):  # fmt: skip
        super().__init__(operators, knowledge, width=width, longer=longer, near=near, guide=guide)
        if shots < 1 or free < shots:
            raise JobError(f"attack 'transfer': expected at least 1 shot and as many free tries; got {shots} and {free}")
        self.shots, self.free, self.surrogate = shots, free, surrogate

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, shots={self.shots}, free={self.free}, surrogate={self.surrogate!r})"

    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> Search:
        for candidate in (yield from self.best(seed, score, threshold, rng)):
            yield [candidate]

    def best(self, seed: Seed, score: float, threshold: float, rng: Random) -> Generator[Any, Any, list[Candidate]]:
        """The candidates to show, in order."""
        (own,) = yield from self.odds([seed.text])
        if self.surrogate:
            goal = min(float(log_odds(self.surrogate.threshold)), own - LEAST)
        else:  # a guess of the target's own log-odds, which for the seed are known
            goal = own - float(log_odds(score) - log_odds(threshold))
        canvas = Canvas(self.box, seed.text, _probability(own), _probability(goal), rng)
        canvas.widen()
        board, found = Board(canvas, rng), dict[State, float]()
        states = self.plan(board, self.width, noise=0.0)
        while states and len(board.gains) < self.free:
            board.tried.update(states)
            texts = [canvas.render(state).text for state in states]
            odds = yield from self.odds(texts)
            for state, value, lost in zip(states, odds, self.lost(seed.text, texts), strict=True):
                board.gains[state] = canvas.learn(state, _probability(value))
                if lost is not None:
                    canvas.weigh(state, lost)
                if (canvas.spent(state) if lost is None else lost) <= self.box.near - SPARE:
                    found[state] = value
            states = board.new(self.step(board), self.width)
        return [canvas.render(state) for state in self.order(found, canvas.needed)]

    def step(self, board: Board) -> list[State]:
        """Half near the best so far, half packed anew."""
        canvas = board.canvas
        near = [canvas.neighbour(state, board.rng) for state in board.best(self.width)]
        return board.new(near, self.width // 2) + self.plan(board, self.width, noise=1.0)

    def order(self, found: Mapping[State, float], needed: float) -> list[State]:
        """The lowest log-odds first; what shares its changes with one before it comes later, for it fails where that fails."""
        chosen: list[State] = []
        left = dict(found)
        while left and len(chosen) < self.shots:
            rank = {s: odds + ALIKE * needed * max((_shared(s, c) for c in chosen), default=0.0) for s, odds in left.items()}
            chosen.append(min(rank, key=lambda s: (rank[s], s)))
            del left[chosen[-1]]
        return chosen

    def odds(self, texts: Sequence[str]) -> Generator[Any, Any, list[float]]:
        """The surrogate's log-odds."""
        if self.surrogate:
            answer: np.ndarray = yield Scored(self.surrogate, tuple(texts))
            return answer.tolist()
        known = self.box.knowledge
        guess = np.array([known.ngrams.of(text) for text in texts])
        if self.guide and known.semantic:
            second = known.semantic.of(self.guide.encode([canonical(text) for text in texts]))
            guess = (1 - known.semantic.trust) * guess + known.semantic.trust * second
        return guess.tolist()

    def lost(self, seed: str, texts: Sequence[str]) -> list[float] | list[None]:
        """Similarity to the seed that each text lost by the guide; None without one."""
        if not self.guide:
            return [None] * len(texts)
        vectors = self.guide.encode([canonical(text) for text in (seed, *texts)])
        return (1 - vectors[1:] @ vectors[0]).tolist()


def _probability(odds: float) -> float:
    return float(0.5 * (1 + np.tanh(odds / 2)))


def _shared(one: State, other: State) -> float:
    """Jaccard."""
    return len({*one} & {*other}) / max(1, len({*one} | {*other}))
