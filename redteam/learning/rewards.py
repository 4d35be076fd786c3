"""What an attacker that learns is paid for, each in [0, 1], higher is better; and what paying costs in queries."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sparring.errors import JobError
from sparring.protocols import Judge, Target, violation_scores
from sparring.text import canonical

from ..engine import Seed
from ..knowledge import log_odds

RECENT = 256  # successes that novelty looks back on
_ORDER = 3  # of the character n-grams that fluency counts


@dataclass(frozen=True, slots=True)
class Paid:
    """(n,) arrays over samples. `evasion` is the share of the way from the seed's log-odds to the threshold's, 1 at a hit,
    and 0 for what the judge refuses: an attack that changes the subject gets nothing. `fidelity` is the judge's score."""

    evasion: np.ndarray
    fidelity: np.ndarray
    success: np.ndarray  # bool: a hit, raw and after canonical form `unicode`, that the judge holds valid


class Referee:
    """Asks target and judge. Every score that the target gives is counted, and never are there more than `budget`."""

    def __init__(self, target: Target, judge: Judge, *, budget: int):
        self.target, self.judge, self.budget, self.queries = target, judge, budget, 0
        self.bound = float(log_odds(np.array([target.threshold]))[0])
        self._known: dict[str, float] = {}

    @property
    def left(self) -> int:
        return self.budget - self.queries

    def fits(self, texts: int, *, keep: float = 0.0) -> bool:
        """Whether so many new texts can still be scored, raw and canonical, with a share `keep` of the budget left over."""
        return 2 * texts <= self.left - keep * self.budget

    def log_odds(self, texts: Sequence[str]) -> np.ndarray:
        """(n,) log-odds of violating, of the text or its canonical form, whichever is caught more surely."""
        new = [t for t in dict.fromkeys(form for t in texts for form in (t, canonical(t))) if t not in self._known]
        if len(new) > self.left:
            raise ValueError(f"expected at most {self.left} new texts, got {len(new)}")
        self.queries += len(new)
        scores = np.nan_to_num(violation_scores(self.target, new, failed_ok=True), nan=1.0)  # as if it were caught
        self._known.update(zip(new, log_odds(scores).tolist(), strict=True))
        return np.array([max(self._known[t], self._known[canonical(t)]) for t in texts])

    def caught(self, seeds: Sequence[Seed]) -> list[Seed]:
        """The seeds that the target catches, out of so many of the first that checking them costs an eighth of the budget at
        most. Raises `JobError` where it catches none: from the others there is nothing to learn."""
        seeds = seeds[: self.budget // 16]
        odds = self.log_odds([s.text for s in seeds]).tolist()
        found = [s for s, value in zip(seeds, odds, strict=True) if value > self.bound]
        if not found:
            raise JobError(
                f"expected violating training rows that the target catches, found none out of {len(seeds)}. "
                "Fix: more --queries, a better target, or a higher max_fpr"
            )
        return found

    def pay(self, seeds: Sequence[Seed], samples: Sequence[str]) -> Paid:
        start, end = self.log_odds([s.text for s in seeds]), self.log_odds(samples)
        verdicts = self.judge.assess([s.text for s in seeds], samples, [s.label for s in seeds])
        valid = np.array([v.valid for v in verdicts], bool)
        way = np.clip((start - end) / np.maximum(start - self.bound, 1e-6), 0, 1)
        return Paid(way * valid, np.array([v.score for v in verdicts]), (end <= self.bound) & valid)


class Fluency:
    """How usual a text's characters are: a character trigram model of the training rows, no language model.

    The reward is 2 ** -(surprise in bits a character, beyond the seed's own). Canonical text, for that is what is read.
    """

    def __init__(self, texts: Sequence[str]):
        self._whole: Counter[str] = Counter()
        self._start: Counter[str] = Counter()
        for text in map(_padded, texts):
            self._whole.update(text[i : i + _ORDER] for i in range(len(text) - _ORDER + 1))
            self._start.update(text[i : i + _ORDER - 1] for i in range(len(text) - _ORDER + 1))
        self._letters = len({c for gram in self._whole for c in gram}) + 1

    def surprise(self, text: str) -> float:
        """Bits a character."""
        text = _padded(text)
        grams = [text[i : i + _ORDER] for i in range(len(text) - _ORDER + 1)]
        odds = ((self._whole[g] + 0.1) / (self._start[g[:-1]] + 0.1 * self._letters) for g in grams)
        return -sum(map(math.log2, odds)) / max(1, len(grams))

    def pay(self, seeds: Sequence[Seed], samples: Sequence[str]) -> np.ndarray:
        """(n,)"""
        more = [self.surprise(t) - self.surprise(s.text) for s, t in zip(seeds, samples, strict=True)]
        return np.exp2(-np.maximum(0, np.array(more)))


def _padded(text: str) -> str:
    return f"{' ' * (_ORDER - 1)}{canonical(text).lower()} "


class Rarity:
    """Novelty of a chain: how rarely recent successes used its operators, and how rarely their families."""

    def __init__(self, families: Mapping[str, str], *, recent: int = RECENT):
        self.families = dict(families)
        self._recent: deque[tuple[str, ...]] = deque(maxlen=recent)

    def add(self, chains: Iterable[tuple[str, ...]]) -> None:
        """Successes, in order."""
        self._recent.extend(chains)

    @property
    def operators(self) -> Counter[str]:
        return Counter(name for chain in self._recent for name in chain)

    @property
    def by_family(self) -> Counter[str]:
        return Counter(self.families[name] for chain in self._recent for name in chain)

    def pay(self, chains: Sequence[tuple[str, ...]]) -> np.ndarray:
        """(n,)"""
        operators, families = self.operators, self.by_family
        of = {
            name: (_rarity(operators, name, len(self.families)) + _rarity(families, family, len(set(self.families.values()))))
            / 2
            for name, family in self.families.items()
        }
        return np.array([np.mean([of[name] for name in chain]) for chain in chains])


def _rarity(seen: Counter[str], name: str, kinds: int) -> float:
    """1 for what was never seen, 0 for what alone was seen: surprise with one of each kind added, over the most possible."""
    total = seen.total() + kinds
    return math.log(total / (seen[name] + 1)) / math.log(total) if total > 1 else 1.0


def effective_number(seen: Counter[str]) -> float:
    """exp of the entropy: how many kinds there would be, were all equally frequent; 0 of none (Hill 1973, order 1)."""
    if not seen:
        return 0.0
    p = np.array(list(seen.values())) / seen.total()
    return float(np.exp(-(p[p > 0] * np.log(p[p > 0])).sum()))


def among(reward: np.ndarray, evasion: np.ndarray, *, group: int) -> np.ndarray:
    """(n,) `reward` beyond the mean of those in its group that evade, and 0 for what does not evade: so a reward that is no
    end in itself only chooses between attacks."""
    x, weight = reward.reshape(-1, group), evasion.reshape(-1, group)
    mean = (x * weight).sum(1, keepdims=True) / np.maximum(weight.sum(1, keepdims=True), 1e-6)
    return (weight * (x - mean)).ravel()


def advantages(rewards: Mapping[str, np.ndarray], weights: Mapping[str, float], *, group: int) -> np.ndarray:
    """(n,) over groups of `group` samples of one seed: each reward is normalised within its group, then they are summed by
    weight and scaled over the batch, so that none drowns the others (GDPO, https://arxiv.org/abs/2601.05242)."""
    if unknown := weights.keys() - rewards.keys():
        raise JobError(f"expected weights for {', '.join(rewards)}; got {', '.join(sorted(unknown))}")
    total = np.zeros(len(next(iter(rewards.values()))))
    for name, reward in rewards.items():
        grouped = reward.reshape(-1, group)
        normal = (grouped - grouped.mean(1, keepdims=True)) / (grouped.std(1, keepdims=True) + 1e-4)
        total += weights.get(name, 0.0) * normal.ravel()
    return (total - total.mean()) / (total.std() + 1e-4)
