from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from sparring.errors import JobError
from sparring.record import Step

from ..engine import Attack, Candidate, Search, Seed

LIGHTEST = 0.1  # strength of an operator
KEPT = 0.5  # of the proposals that go on from the best so far, not from the seed


class Corrupt(Attack):
    """Climbs by scores alone over chains of image operators: each batch holds `width` chains of up to `longest`, most of them
    one step from the chain that lowered the score most.

    It needs no gradient and no generator, so it attacks anything that gives a score. It finds what an upload may do to an
    image by accident, not what an adversary draws.
    """

    def __init__(self, operators: Mapping[str, Any], *, width: int = 6, longest: int = 3):
        if not operators or width < 1 or longest < 1:
            raise JobError(
                "attack 'corrupt': expected operators, width >= 1 and longest >= 1; got "
                f"{len(operators)}, {width} and {longest}"
            )
        self.operators, self.width, self.longest = dict(operators), width, longest

    def __repr__(self) -> str:
        return f"Corrupt({list(self.operators.values())!r}, width={self.width}, longest={self.longest})"

    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> Search:
        best: tuple[Step, ...] = ()
        least = score
        while True:
            chains = [self._chain(best, rng) for _ in range(self.width)]
            told = yield [Candidate(self.render(seed.text, chain), chain) for chain in chains]
            for chain, answer in zip(chains, told, strict=True):
                if answer.score is not None and not answer.hit and answer.score < least:
                    best, least = chain, answer.score

    def render(self, image: bytes, chain: tuple[Step, ...]) -> bytes:
        for step in chain:
            image = self.operators[step.name].apply(image, strength=step.strength, rng=Random(step.seed))
        return image

    def _chain(self, best: tuple[Step, ...], rng: Random) -> tuple[Step, ...]:
        """A new step behind the best chain or instead of its last, or a chain of its own."""
        step = Step(rng.choice(sorted(self.operators)), round(rng.uniform(LIGHTEST, 1), 2), rng.getrandbits(31))
        if best and rng.random() < KEPT:
            return (*best, step) if len(best) < self.longest else (*best[:-1], step)
        return (step,)
