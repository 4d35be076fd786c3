"""Warm-up: spends queries on training rows to learn which words, operators and phrases move a target."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

import numpy as np

from sparring.operators.base import Operator, WordOperator
from sparring.protocols import Embedder
from sparring.text import canonical, payload

from .knowledge import DOUBT, Effect, Knowledge, Phrase, log_odds
from .surrogate import Ngrams, Semantic

Score = Callable[[Sequence[str]], np.ndarray]

PHRASES = 48  # kept
PROBES = 5  # violating rows that each kept phrase is tried on, before and behind
FEWEST = 64  # queries under which nothing worth knowing can be learned
MOST_BENIGN = 20_000  # rows that phrases are cut from
FEW = 8  # edited rows under which an operator's effect is not measured
STRENGTHS = (0.05, 0.1, 0.2, 0.3)
_SENTENCE = re.compile(r"(?<=[.!?…。！？])\s+|\s*\.{2,}\s*")


class _Edited(NamedTuple):
    row: str
    text: str
    operator: str
    number: int  # of words edited


class _Try(NamedTuple):
    """A phrase beside a violating row: behind it (0) or before it (1)."""

    phrase: str
    row: str
    place: int

    @property
    def text(self) -> str:
        return f"{self.phrase} {self.row}" if self.place else f"{self.row} {self.phrase}"


class _Asked(dict[str, float]):
    """Text -> the target's log-odds; each text is asked about once."""

    def __init__(self, score: Score):
        self._score = score
        self.queries = 0

    def add(self, texts: Sequence[str]) -> None:
        new = [t for t in dict.fromkeys(texts) if t not in self]
        self.queries += len(new)
        odds = log_odds(self._score(new))
        odds[np.isnan(odds)] = np.nanmean([*odds, *self.values()])  # a row that the target failed on tells nothing
        self.update(zip(new, odds.tolist(), strict=True))

    def unsteady(self, texts: Sequence[str]) -> float:
        """The most that a score, asked for twice in one call, differs: 0 for a target that answers alike every time."""
        self.queries += 2 * len(texts)
        first, second = np.split(np.asarray(self._score([*texts, *texts]), np.float64), 2)
        return round(float(np.nanmax(np.abs(first - second), initial=0.0)), 6)

    def all(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([self[t] for t in texts])


def learn(
    score: Score,
    violating: Sequence[str],
    benign: Sequence[str],
    operators: Mapping[str, Operator],
    *,
    budget: int,
    seed: int,
    guide: Embedder | None = None,
) -> Knowledge:
    """Spends at most `budget` queries, on whole rows, on benign phrases alone, on the calmest of them around violating
    rows, and on violating rows edited by each operator: all of it teaches the surrogates.

    `guide` embeds the texts that were asked about; without it similarity has its usual costs. `score` gives P(violating).
    """
    rng, asked = Random(seed), _Asked(score)
    words = {name: op for name, op in operators.items() if isinstance(op, WordOperator)}
    bank = fragments(benign if len(benign) <= MOST_BENIGN else _sample(benign, MOST_BENIGN, rng))
    if budget < FEWEST or not violating:
        return Knowledge(phrases=tuple(Phrase(p) for p in _sample(bank, PHRASES, rng)))
    rows = _sample(violating, budget // 8, rng) + _sample(benign, budget // 8, rng)
    bank = _sample(bank, budget // 4, rng)
    asked.add([*rows, *bank])
    calm = sorted(bank, key=asked.__getitem__)[: min(PHRASES, budget // 4 // (2 * PROBES))]
    probes = _sample(violating, PROBES, rng)
    tries = [_Try(phrase, row, place) for phrase in calm for row in probes for place in (0, 1)]
    asked.add([*probes, *(t.text for t in tries)])
    unsteady = asked.unsteady(probes)
    edited = _edited(violating, words, (budget - asked.queries) // 2, rng)
    asked.add([text for e in edited for text in (e.row, e.text)])

    texts, changed = list(asked), [(t.row, t.text) for t in tries] + [(e.row, e.text) for e in edited]
    vectors = dict(zip(texts, guide.encode([canonical(t) for t in texts]), strict=True)) if guide else {}
    taken = asked.all([row for row, _ in changed]) - asked.all([text for _, text in changed])
    lost = np.array([1 - float(vectors[row] @ vectors[text]) for row, text in changed]) if guide else None
    unchanged = {*rows, *bank, *probes, *(e.row for e in edited)}
    plain = [t for t in texts if t in unchanged]
    unseen = Ngrams.fit(plain, asked.all(plain))  # it has met none of the changed rows
    guessed = np.array([unseen.of(row) - unseen.of(text) for row, text in changed])
    half = len(tries)
    effects = _effects(edited, guessed[half:], taken[half:], None if lost is None else lost[half:], words)
    ngrams = Ngrams.fit(texts, asked.all(texts))
    phrases, doubt = _phrases(tries, taken[:half], None if lost is None else lost[:half], ngrams)
    semantic = None
    if guide:
        first = Semantic.fit(np.stack([vectors[t] for t in plain]), asked.all(plain))
        row, text = (first.of(np.stack([vectors[pair[side]] for pair in changed])) for side in (0, 1))
        trust = _share(guessed, row - text, taken)
        semantic = Semantic.fit(np.stack([vectors[t] for t in texts]), asked.all(texts), trust=trust)
    return Knowledge(ngrams, semantic, phrases, doubt, effects, asked.queries, unsteady)


def fragments(benign: Sequence[str], shortest: int = 8, longest: int = 48) -> list[str]:
    """Sentences and ends of sentences of benign rows, `shortest` to `longest` characters, in a fixed order."""
    found: dict[str, None] = {}
    for text in benign:
        for sentence in _SENTENCE.split(text):
            words = sentence.split()
            for start in range(len(words)):
                tail = " ".join(words[start:])
                if shortest <= len(tail) <= longest and not re.search(r"\d{3}", tail) and not payload(tail):
                    found[tail] = None
                    break
    return list(found)


def _edited(violating: Sequence[str], words: Mapping[str, WordOperator], n: int, rng: Random) -> list[_Edited]:
    """Up to `n` violating rows, each with a twentieth to a third of its words edited by one operator."""
    out = []
    for _ in range(n if words else 0):
        row, name, strength = rng.choice(violating), rng.choice(list(words)), rng.choice(STRENGTHS)
        text = words[name].apply(row, strength=strength, rng=rng)
        if text != row:
            out.append(_Edited(row, text, name, max(1, round(strength * len(row.split())))))
    return out


def _effects(
    edited: Sequence[_Edited],
    guessed: np.ndarray,
    taken: np.ndarray,
    lost: np.ndarray | None,
    words: Mapping[str, WordOperator],
) -> dict[str, Effect]:
    """What each operator does, by how the rows edited by it were guessed, and what was really taken and lost."""
    number = np.array([e.number for e in edited])
    share = np.array([e.number / max(1, len(e.row.split())) for e in edited])
    out = {}
    for name in words:
        mine = np.array([e.operator == name for e in edited], bool)
        if mine.sum() < FEW:
            continue
        x, y = guessed[mine], taken[mine]
        trust = float(np.clip((x @ y) / max(x @ x, 1e-9), 0.0, 1.5))
        doubt = float(np.sqrt(((y - trust * x) ** 2 / number[mine]).mean()))
        cost = max(float(lost[mine].sum() / share[mine].sum()), 0.02) if lost is not None else Effect().cost
        out[name] = Effect(round(cost, 4), round(trust, 4), round(doubt, 4))
    return out


def _phrases(
    tries: Sequence[_Try], taken: np.ndarray, lost: np.ndarray | None, ngrams: Ngrams
) -> tuple[tuple[Phrase, ...], tuple[float, float]]:
    """The phrases, by what they take away for what they cost; and how far off that is on a single text, by place."""
    if not tries:
        return (), DOUBT
    texts = list(dict.fromkeys(t.phrase for t in tries))
    shape = (len(texts), -1, 2)  # phrase, row, place
    off = (taken - [ngrams.of(t.row) - ngrams.of(t.text) for t in tries]).reshape(shape)
    longer = np.array([len(t.phrase) / len(t.row) for t in tries]).reshape(shape)
    usual = np.tile(Phrase("").cost, (len(texts), 1))
    cost = usual if lost is None else np.maximum(lost.reshape(shape).sum(1) / longer.sum(1), 0.005)
    worth = (taken.reshape(shape).mean(1) / np.maximum(cost, 0.02)).max(1)
    best = np.argsort(-worth, kind="stable")
    return tuple(Phrase(texts[i], _pair(off[i].mean(0)), _pair(cost[i])) for i in best), _pair(off.std((0, 1)))


def _share(first: np.ndarray, second: np.ndarray, true: np.ndarray) -> float:
    """The second guess's part in [0, 1] of the best mixture of two."""
    from scipy.optimize import nnls

    weights, _ = nnls(np.stack([first, second], 1), true)
    return round(float(weights[1] / weights.sum()), 4) if weights.sum() else 0.0


def _pair(values: np.ndarray) -> tuple[float, float]:
    return round(float(values[0]), 4), round(float(values[1]), 4)


def _sample(items: Sequence[str], n: int, rng: Random) -> list[str]:
    return rng.sample(list(items), min(n, len(items)))
