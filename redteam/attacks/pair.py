from __future__ import annotations

from random import Random

from sparring.policy import Policy
from sparring.protocols import Embedder, TextModel

from ..engine import Search, Seed
from .writing import History, WritingAttack, at_least_one


class Pair(WritingAttack):
    """A language model rewrites the seed and is told the target's score for each attempt, again and again: several streams
    side by side, which paraphrase and imply by turns.

    PAIR (Chao et al. 2023, https://arxiv.org/abs/2310.08419), for classifiers: what that asks a judge model for, how far an
    attempt has come, is the target's own score here.
    """

    def __init__(
        self, model: TextModel, *, streams: int = 2, depth: int = 4, rewrites: int = 4, rules: Policy | None = None,
        guide: Embedder | None = None, longer: float = 1.5, near: float = 0.2, seed: int = 0,
    ):  # fmt: skip
        super().__init__(model, rewrites=rewrites, rules=rules, guide=guide, longer=longer, near=near, seed=seed)
        self.streams, self.depth = streams, depth
        at_least_one(streams=streams, depth=depth)

    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> Search:
        histories: list[History] = [()] * self.streams
        for depth in range(self.depth):
            new = yield from self.turn(seed, score, threshold, histories, depth=depth)
            histories = [old + more for old, more in zip(histories, new, strict=True)]
