from __future__ import annotations

import pathlib
from collections.abc import Mapping
from random import Random

import numpy as np

from sparring import refs
from sparring.media import SLACK
from sparring.operators.base import Operator
from sparring.text import canonical

from ..engine import NOT_JUDGED, Attack, Candidate, Search, Seed
from ..knowledge import log_odds
from ..learning import chains
from ..learning.chains import Chain, ChainPolicy

TRIES = 20  # draws for each candidate of a batch, after which the batch is shorter
ADAPT = 2.0  # learning rate on the seed itself


class Learned(Attack):
    """Draws operator chains from a policy trained by `sparring attack train`, and goes on learning on each seed.

    `policy` is a reference to the file that the training wrote; without it every chain is as likely as any other of its
    length. What a chain did to this seed moves the policy for the seed's next batch, and for no other seed. Of the policy's
    operators those count that the job has too; what a normaliser undoes is left out, for it can't succeed. `knowledge`, which
    other strategies are given as well, is not used.
    """

    def __init__(
        self, operators: Mapping[str, Operator], knowledge: object, *,
        policy: str | pathlib.Path | None = None, width: int = 6, longer: float = 1.5,
    ):  # fmt: skip
        self.operators = {name: op for name, op in operators.items() if not op.normalised_away()}
        self.width, self.longer = width, longer
        found = ChainPolicy.load(pathlib.Path(refs.resolve(str(policy)))) if policy else None
        self.policy = found.only(list(self.operators)) if found else ChainPolicy.uniform(list(self.operators))
        self.queries = self.policy.queries

    def __repr__(self) -> str:
        return f"Learned({self.policy!r}, width={self.width}, longer={self.longer})"

    @property
    def code(self) -> tuple[type, ...]:
        return (type(self), ChainPolicy)

    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> Search:
        policy, tried = self.policy, {seed.text}
        start, bound = log_odds(np.array([score, threshold])).tolist()
        while batch := self._batch(policy, seed, tried, rng):
            told = yield [candidate for _, candidate in batch]
            scored = [
                (chain, answer.score, answer.hit)
                for (chain, _), answer in zip(batch, told, strict=True)
                if answer.score is not None and answer.reason != NOT_JUDGED
            ]
            ends = log_odds(np.array([score for _, score, _ in scored]))
            hits = np.array([hit for *_, hit in scored], bool)  # that the judge refused: another ends the search
            gains = np.where(hits, 0.0, np.clip((start - ends) / max(start - bound, 1e-6), -1, 1))
            policy = policy.learned([chain for chain, *_ in scored], gains - gains.mean() if scored else gains, rate=ADAPT)

    def _batch(self, policy: ChainPolicy, seed: Seed, tried: set[str], rng: Random) -> list[tuple[Chain, Candidate]]:
        """New candidates that fit the length, the lightest first."""
        out: list[tuple[Chain, Candidate]] = []
        room = self.longer * len(seed.text) + SLACK
        for _ in range(TRIES * self.width if self.operators else 0):
            chain = policy.draw(rng)
            steps = policy.steps(chain, rng)
            text = chains.apply(seed.text, steps, self.operators)
            if text not in tried and len(canonical(text)) <= room:
                tried.add(text)
                out.append((chain, Candidate(text, steps)))
            if len(out) == self.width:
                break
        return sorted(out, key=lambda pair: sum(step.strength for step in pair[1].steps))
