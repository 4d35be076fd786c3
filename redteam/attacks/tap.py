from __future__ import annotations

from random import Random

from sparring.policy import Policy
from sparring.protocols import Embedder, TextModel

from ..engine import Search, Seed
from .writing import History, WritingAttack, at_least_one, best


class Tap(WritingAttack):
    """A tree of rewrites by a language model: each leaf branches, what is off topic falls before the target is asked, and the
    `width` rewrites that the target is least sure of go on.

    TAP (Mehrotra et al. 2023, https://arxiv.org/abs/2312.02119), for classifiers: off topic is what lost the payload, is too
    long, or strays by the run's embedder, none of which takes a model to say; the rest is pruned by the target's score.
    """

    def __init__(
        self, model: TextModel, *, branches: int = 2, width: int = 3, depth: int = 4, rewrites: int = 4,
        rules: Policy | None = None, guide: Embedder | None = None, longer: float = 1.5, near: float = 0.2, seed: int = 0,
    ):  # fmt: skip
        super().__init__(model, rewrites=rewrites, rules=rules, guide=guide, longer=longer, near=near, seed=seed)
        self.branches, self.width, self.depth = branches, width, depth
        at_least_one(branches=branches, width=width, depth=depth)

    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> Search:
        leaves: list[History] = [()]
        for depth in range(self.depth):
            parents = [leaf for leaf in leaves for _ in range(self.branches)]
            children = yield from self.turn(seed, score, threshold, parents, depth=depth)
            grown = {attempt: parent for parent, mine in zip(parents, children, strict=True) for attempt in best(mine)}
            # Where nothing was fit, the leaves learn why and try again.
            leaves = [(*grown[a], a) for a in best(list(grown))[: self.width]] or [
                parent + mine for parent, mine in zip(parents, children, strict=True)
            ][: self.width]
