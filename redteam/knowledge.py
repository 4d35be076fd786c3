"""What an attacker learns about a target on training rows before it meets a held-out seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

import numpy as np

Score = Callable[[Sequence[str]], np.ndarray]

PHRASES = 48  # kept
PROBES = 8  # violating rows that each phrase is tried on
_EDGES = re.compile(r"^\W+|\W+$")
_SENTENCE = re.compile(r"(?<=[.!?…])\s+|\s*\.{2,}\s*")


@dataclass(frozen=True, slots=True)
class Knowledge:
    """`words`: log-odds of violating that a word adds; `phrases`: benign phrases and the log-odds that each takes away,
    best first; `queries`: what this cost. All of it is learned on training rows only."""

    words: dict[str, float]
    phrases: tuple[tuple[str, float], ...]
    queries: int = 0

    @property
    def phrase_texts(self) -> tuple[str, ...]:
        return tuple(phrase for phrase, _ in self.phrases)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Knowledge:
        return cls(found["words"], tuple((p, g) for p, g in found["phrases"]), found["queries"])


def word_key(word: str) -> str:
    """A word as it is looked up: lower case, punctuation at its edges gone."""
    return _EDGES.sub("", word.lower())


def log_odds(scores: np.ndarray) -> np.ndarray:
    clipped = np.clip(np.asarray(scores, np.float64), 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


def learn(score: Score, violating: Sequence[str], benign: Sequence[str], *, budget: int, seed: int) -> Knowledge:
    """Spends at most `budget` queries: half on whole rows (which words matter, by ridge regression of the target's
    log-odds on the words present), half on benign phrases behind violating rows (which phrases calm it)."""
    rng = Random(seed)
    rows = _sample(violating, budget // 4, rng) + _sample(benign, budget // 4, rng)
    if budget < 4 * PROBES:
        return Knowledge({}, tuple((p, 0.0) for p in _sample(fragments(benign), PHRASES, rng)))
    logits = log_odds(score(rows))
    words = _word_weights(rows, logits)
    probes = _sample(violating, PROBES, rng)
    plain = log_odds(score(probes))
    tries = (budget - len(rows) - len(probes)) // len(probes)
    bank = fragments(benign)
    bank = sorted(bank, key=lambda p: sum(words.get(word_key(w), 0.0) for w in p.split()) / len(p))[: 3 * tries]
    bank = _sample(bank, tries, rng)
    answers = log_odds(score([f"{row} {phrase}" for phrase in bank for row in probes])).reshape(len(bank), len(probes))
    gain = (plain[None] - answers).mean(1)
    best = sorted(zip(bank, gain.tolist(), strict=True), key=lambda pair: -pair[1])[:PHRASES]
    spent = len(rows) + len(probes) + answers.size
    return Knowledge(words, tuple((p, round(g, 4)) for p, g in best), spent)


def fragments(benign: Sequence[str], shortest: int = 8, longest: int = 40) -> list[str]:
    """Sentences and ends of sentences of benign rows, `shortest` to `longest` characters, in a fixed order."""
    found: dict[str, None] = {}
    for text in benign:
        for sentence in _SENTENCE.split(text):
            words = sentence.split()
            for start in range(len(words)):
                tail = " ".join(words[start:])
                if shortest <= len(tail) <= longest and not re.search(r"\d{3}|[£$€]|www|http", tail):
                    found[tail] = None
                    break
    return list(found)


def _word_weights(rows: Sequence[str], logits: np.ndarray) -> dict[str, float]:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import Ridge

    counter = CountVectorizer(analyzer=lambda t: {word_key(w) for w in t.split()} - {""}, binary=True, min_df=1)
    x = counter.fit_transform(rows)
    weights = Ridge(alpha=1.0).fit(x, logits).coef_
    return {word: round(float(w), 4) for word, w in zip(counter.get_feature_names_out(), weights, strict=True)}


def _sample(items: Sequence[str], n: int, rng: Random) -> list[str]:
    return rng.sample(list(items), min(n, len(items)))
