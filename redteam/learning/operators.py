"""Trains a policy over operator chains against a target, by the gradient of group-relative advantages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from sparring.errors import JobError
from sparring.operators.base import Operator
from sparring.protocols import Judge, Target

from ..engine import Seed
from . import chains
from .chains import Chain, ChainPolicy
from .rewards import Fluency, Paid, Rarity, Referee, advantages, among, effective_number

WEIGHTS = {"evasion": 1.0, "fidelity": 0.3, "novelty": 0.6, "fluency": 0.1, "cost": 0.2}
GROUP = 8  # chains drawn for one seed
SEEDS = 8  # a generation; the policy changes between generations only
RATE = 2.5
TRIALS = 0.15  # share of the budget that measures the trained policy
FEWEST = 4 * GROUP * SEEDS  # queries under which there would be no generation


@dataclass(frozen=True, slots=True)
class Training:
    """A trained policy, and what it does when it learns no more: `success` is the share of its chains that the target
    misses and the judge holds valid; the effective numbers are over the operators, and their families, of those chains."""

    policy: ChainPolicy
    generations: int
    trials: int
    success: float
    effective_operators: float
    effective_families: float

    def about(self) -> dict[str, Any]:
        return {
            "generations": self.generations, "trials": self.trials, "success": round(self.success, 4),
            "effective_operators": round(self.effective_operators, 2),
            "effective_families": round(self.effective_families, 2),
        }  # fmt: skip


def train(
    target: Target, judge: Judge, seeds: Sequence[Seed], operators: Mapping[str, Operator], rows: Sequence[str], *,
    budget: int, seed: int = 0, weights: Mapping[str, float] = WEIGHTS, progress: Callable[[int, int], None] = lambda *_: None,
) -> Training:  # fmt: skip
    """Spends at most `budget` scores of the target. `seeds` are violating training rows, `rows` what fluency is measured by.

    A group of `GROUP` chains is drawn for each of `SEEDS` seeds, and a chain's advantage is what it was paid beyond its
    group (GRPO, https://arxiv.org/abs/2402.03300), each reward normalised apart. What is pleasant but no attack is paid for
    by evasion: else the policy learns to change nothing, or whatever is rare. The result is the mean of the policies of the
    later half: novelty makes a policy wander between operators, and the last one is but a moment of that.
    """
    operators = {name: op for name, op in operators.items() if not op.normalised_away()}  # the others can't succeed
    if not operators or budget < FEWEST:
        raise JobError(
            f"expected operators that canonical form `unicode` does not undo and {FEWEST} queries; "
            f"got {', '.join(operators) or 'none'} and {budget}"
        )
    rng, referee, fluency = Random(seed), Referee(target, judge, budget=budget), Fluency(rows)
    prey = referee.caught(seeds)
    policy = ChainPolicy.uniform(list(operators))
    rarity = Rarity({name: op.family for name, op in operators.items()})
    kept: list[ChainPolicy] = []
    for _ in range(budget // (GROUP * SEEDS)):  # a text that was scored before costs nothing, so queries alone set no end
        if not referee.fits(GROUP * SEEDS, keep=TRIALS):
            break
        batch = [s for s in rng.choices(prey, k=SEEDS) for _ in range(GROUP)]
        drawn, texts, paid = _play(policy, batch, operators, referee, rng)
        names = [policy.names(c) for c in drawn]
        rewards = {
            "evasion": paid.evasion,
            "fidelity": paid.fidelity,
            "novelty": among(rarity.pay(names), paid.evasion, group=GROUP),
            "fluency": among(fluency.pay(batch, texts), paid.evasion, group=GROUP),
            "cost": among(np.array([-float(len(c)) for c in drawn]), paid.evasion, group=GROUP),
        }
        policy = policy.learned(drawn, advantages(rewards, weights, group=GROUP), rate=RATE)
        kept.append(policy)
        rarity.add(name for name, won in zip(names, paid.success, strict=True) if won)
        progress(referee.queries, budget)
    found = _tried(_mean(kept[len(kept) // 2 :]), prey, operators, referee, rng, generations=len(kept))
    progress(budget, budget)
    return found


def _play(
    policy: ChainPolicy, batch: Sequence[Seed], operators: Mapping[str, Operator], referee: Referee, rng: Random
) -> tuple[list[Chain], list[str], Paid]:
    drawn = [policy.draw(rng) for _ in batch]
    texts = [chains.apply(s.text, policy.steps(c, rng), operators) for s, c in zip(batch, drawn, strict=True)]
    return drawn, texts, referee.pay(batch, texts)


def _mean(policies: Sequence[ChainPolicy]) -> ChainPolicy:
    position = np.mean([p.position for p in policies], axis=0)
    return replace(policies[0], position=position, previous=np.mean([p.previous for p in policies], axis=0))


def _tried(
    policy: ChainPolicy, prey: Sequence[Seed], operators: Mapping[str, Operator], referee: Referee, rng: Random, *,
    generations: int,
) -> Training:  # fmt: skip
    """What the budget still allows, drawn from the policy as it is."""
    n = min(referee.left // 2, round(TRIALS * referee.budget / 2))
    drawn, _, paid = _play(policy, rng.choices(prey, k=n), operators, referee, rng)
    won = Rarity({name: op.family for name, op in operators.items()}, recent=max(1, n))
    won.add(policy.names(c) for c, success in zip(drawn, paid.success, strict=True) if success)
    return Training(
        replace(policy, queries=referee.queries), generations, n, float(paid.success.mean()) if n else 0.0,
        effective_number(won.operators), effective_number(won.by_family),
    )  # fmt: skip
