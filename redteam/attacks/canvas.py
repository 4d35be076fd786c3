"""One seed as a set of possible changes, each with what it should gain and cost: what every strategy searches over."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import NamedTuple, TypeAlias

import numpy as np

from sparring.media import SLACK
from sparring.operators.base import Operator, WordOperator, editable
from sparring.record import Step

from ..engine import Candidate
from ..knowledge import PLACES, Effect, Knowledge, log_odds

State: TypeAlias = tuple[int, ...]  # numbers of changes, ascending

FIRST_WORDS = 8  # positions that are looked at first
FIRST_EDITS = 24  # and edits of them
MOST_WORDS = 64  # positions in all: a huge text is not searched to its end
ALLOWED = 0.85  # of the similarity that a judge lets go: guesses err
LEAST = 1e-3  # similarity that any change costs


class Change(NamedTuple):
    """A word edited, or a phrase set behind or before the text. At most one change stands at a `place`."""

    place: tuple[str, int]
    operator: str
    seed: int
    span: tuple[int, int] | None  # None: a phrase
    text: str
    length: int  # characters that it adds


class Toolbox:
    """What a strategy works with on every seed: its operators, what is known of the target, the phrases as changes."""

    def __init__(self, operators: Mapping[str, Operator], knowledge: Knowledge, *, longer: float = 1.5, near: float = 0.2):
        # What a normaliser undoes is tried once, to show the raw exposure; it can't succeed, so no search is spent on it.
        self.undone = {name: op for name, op in operators.items() if op.normalised_away()}
        words = {name: op for name, op in operators.items() if isinstance(op, WordOperator)}
        self.words = {name: op for name, op in words.items() if name not in self.undone}
        self.dilutes = next((name for name, op in operators.items() if op.family == "dilution"), None)
        self.payload = next((op.payload for op in operators.values()), ())
        self.knowledge, self.longer, self.near = knowledge, longer, near
        self.effects = {name: knowledge.effects.get(name, Effect()) for name in self.words}
        phrases = knowledge.phrases if self.dilutes else ()
        self.phrases = [
            Change(("phrase", number), self.dilutes or "", place, None, phrase.text, len(phrase.text) + 1)
            for number, phrase in enumerate(phrases)
            for place in range(len(PLACES))
        ]
        told = [
            (*knowledge.ngrams.text(p.text), p.extra[i], p.cost[i], len(p.text)) for p in phrases for i in range(len(PLACES))
        ]
        self.scores, self.sizes, self.extras, self.costs, self.lengths = np.array(told, np.float64).reshape(-1, 5).T
        self._words: dict[str, tuple[float, float]] = {}

    def __repr__(self) -> str:
        return ", ".join([*self.words, *([self.dilutes] if self.dilutes else [])])

    def word(self, word: str) -> tuple[float, float]:
        """(score, size) of a word by the surrogate; texts share most of their words."""
        if word not in self._words:
            if len(self._words) > 1 << 14:
                self._words.clear()
            self._words[word] = self.knowledge.ngrams.word(word)
        return self._words[word]


class Canvas:
    """A seed's changes, their gains (log-odds they take away) and costs (similarity they take away), kept up to date."""

    def __init__(self, box: Toolbox, text: str, score: float, threshold: float, rng: Random):
        self.box, self.text, self.rng = box, text, rng
        self.odds, self.goal = log_odds([score, threshold]).tolist()
        self.spans = editable(text, box.payload)
        self.room = (box.longer - 1) * len(text) + SLACK
        self.limit = ALLOWED * box.near
        self._noise: np.random.Generator | None = None
        self._places = {name: op.spans(text) for name, op in box.words.items()}
        words = [box.word(word) for word in text.split()]
        self._score, self._size = sum(w[0] for w in words), sum(w[1] for w in words)
        guess = box.knowledge.ngrams
        self._bias, self._guess = guess.bias, guess.log_odds(self._score, self._size)
        self.changes = list(box.phrases)
        self.gain = self._gains(box.scores, box.sizes) + box.extras
        self.cost = np.maximum(box.costs * box.lengths / max(1, len(text)), LEAST)
        self.doubt = np.resize(box.knowledge.doubt, len(self.gain)).astype(np.float64)
        order, weight = self._by_weight()
        first, later = order[:FIRST_WORDS], order[FIRST_WORDS:MOST_WORDS] + order[:FIRST_WORDS]
        # Most seeds need no other edits than those that promise most: what an operator takes of a word's weight, for its cost.
        by_worth = sorted(
            [(-effect.trust * weight[i] / effect.cost, i, name) for name, effect in box.effects.items() for i in first]
        )
        pairs = [(name, i) for _, i, name in by_worth]
        left = self._edit(pairs, FIRST_EDITS)
        self._later = pairs[len(pairs) - left :] + [(name, i) for name in box.words for i in later]

    def widen(self) -> None:
        """All the other words, and other versions of those that were looked at first."""
        self._edit(self._later, len(self._later))
        self._later = []

    @property
    def needed(self) -> float:
        """Log-odds to take away before the target calls the text benign."""
        return self.odds - self.goal

    def pack(self, gain: np.ndarray, *, needs: Sequence[float], limit: float) -> list[State]:
        """For each of `needs`, which ascend: changes by gain for cost until they gain it, cost `limit` or fill the room."""
        able = np.flatnonzero(gain > 0)
        order = able[np.argsort(-gain[able] / self.cost[able], kind="stable")]
        return self._packed(order, gain[order].tolist(), needs, limit)

    def fitted(self, wanted: Sequence[int]) -> State:
        """Those of `wanted`, in order of preference, that fit together: a place each, the room, the cost allowed."""
        return self._packed(np.array(wanted, np.int64), [0.0] * len(wanted), (math.inf,), self.limit)[0]

    def _packed(self, wanted: np.ndarray, gains: Sequence[float], needs: Sequence[float], most: float) -> list[State]:
        """`gains` are those of `wanted`, (n,) numbers of changes."""
        chosen: list[int] = []
        taken: set[tuple[str, int]] = set()
        out: list[State] = []
        got, spent, room = 0.0, 0.0, self.room
        changes = self.changes
        for k, gain, cost in zip(wanted.tolist(), gains, self.cost[wanted].tolist(), strict=True):
            if spent + cost > most:
                continue
            change = changes[k]
            if change.length > room or change.place in taken:
                continue
            chosen.append(k)
            taken.add(change.place)
            spent, room = spent + cost, room - change.length
            got += gain
            while len(out) < len(needs) and got >= needs[len(out)]:
                out.append(tuple(sorted(chosen)))
            if len(out) == len(needs):
                return out
        return out + [tuple(sorted(chosen))] * (len(needs) - len(out))

    def noisy(self, size: float = 1.0) -> np.ndarray:
        """Gains as they might be: drawn from what is believed of them (Thompson sampling)."""
        if self._noise is None:
            self._noise = np.random.default_rng(self.rng.getrandbits(64))
        return self.gain + size * self.doubt * self._noise.standard_normal(len(self.gain))

    def children(self, state: State, operator: str | None = None) -> Iterator[State]:
        """`state` with one more change, those first that should gain most for their cost."""
        for k in np.argsort(-self.gain / self.cost, kind="stable").tolist():
            if k not in state and operator in (None, self.changes[k].operator):
                child = self.fitted([*state, k])
                if k in child:
                    yield child

    def neighbour(self, state: State, rng: Random) -> State:
        """`state` with one change put in, taken out or swapped for another."""
        kept = list(state)
        draw = rng.random()
        if kept and draw < 0.6:
            kept.remove(rng.choice(kept))
        if draw > 0.3 and self.changes:
            kept.append(rng.randrange(len(self.changes)))
        return self.fitted(kept)

    def random(self, rng: Random) -> State:
        """A few changes drawn blindly, within the cost allowed."""
        size = rng.randint(1, 5)
        return self.fitted(rng.sample(range(len(self.changes)), min(size, len(self.changes))))

    def learn(self, state: State, score: float) -> float:
        """Takes in the target's score for a state; returns the log-odds that it took away."""
        gained = self.odds - float(log_odds(score))
        self.believe(state, gained, 0.8)
        self.doubt[list(state)] *= 0.8
        return gained

    def believe(self, state: State, gained: float, rate: float) -> None:
        """Spreads what a state's gain was off by over its changes, the doubtful most (Kaczmarz, 1937)."""
        chosen = list(state)
        share = self.doubt[chosen] ** 2 + 1e-12
        self.gain[chosen] += rate * (gained - self.gain[chosen].sum()) * share / share.sum()

    def weigh(self, state: State, cost: float) -> None:
        """The same for what a state costs by the guide."""
        chosen = list(state)
        share = self.cost[chosen]
        self.cost[chosen] = np.maximum(share + 0.5 * (cost - share.sum()) * share / share.sum(), LEAST)

    def gained(self, state: State) -> float:
        return float(self.gain[list(state)].sum())

    def spent(self, state: State) -> float:
        return float(self.cost[list(state)].sum())

    def one_shot(self) -> Candidate:
        """The whole text through one operator that a normaliser undoes."""
        name, seed = self.rng.choice(sorted(self.box.undone)), self.rng.getrandbits(30)
        text = self.box.undone[name].apply(self.text, strength=1.0, rng=Random(seed))
        return Candidate(text, (Step(name, 1.0, seed),))

    def render(self, state: State) -> Candidate:
        changes = [self.changes[k] for k in state]
        parts, position = [], 0
        used: dict[str, list[int]] = {}
        for start, end, change in sorted([(*c.span, c) for c in changes if c.span], key=lambda c: c[:2]):
            parts += [self.text[position:start], change.text]
            position = end
            used.setdefault(change.operator, []).append(change.seed)
        text = "".join(parts) + self.text[position:]
        steps = [Step(name, round(len(seeds) / max(1, len(self.spans)), 4), seeds[0]) for name, seeds in used.items()]
        if phrases := [c for c in changes if c.span is None]:
            behind, before = ([c.text for c in phrases if c.seed == place] for place in range(len(PLACES)))
            text = " ".join([*before, text, *behind])
            length = sum(c.length for c in phrases)
            steps.append(Step(phrases[0].operator, round(length / max(1, len(self.text)), 4), 0))
        return Candidate(text, tuple(steps))

    def _gains(self, scores: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """What the surrogate's guess falls by when words of these scores and sizes come in."""
        return self._guess - self._bias - (self._score + scores) / np.sqrt(np.maximum(self._size + sizes, 1.0))

    def _by_weight(self) -> tuple[list[int], dict[int, float]]:
        """Word positions, those first that add most to the surrogate's log-odds; and what each adds."""
        able = [(i, self.text[a:b]) for i, (a, b) in enumerate(self.spans) if any(map(str.isalpha, self.text[a:b]))]
        scores, sizes = -np.array([self.box.word(word) for _, word in able], np.float64).reshape(-1, 2).T
        gains = self._gains(scores, sizes)
        order = [able[k][0] for k in np.argsort(-gains, kind="stable").tolist()]
        return order, dict(zip([i for i, _ in able], gains.tolist(), strict=True))

    def _edit(self, pairs: Sequence[tuple[str, int]], most: int) -> int:
        """Adds the edits of words by operators, in order, until there are `most`; returns how many pairs are left."""
        share, text, words, left = 1 / max(1, len(self.spans)), self.text, self.box.words, len(pairs)
        found: list[Change] = []
        told: list[tuple[float, float, float, float, float]] = []
        for name, i in pairs:
            if len(found) == most:
                break
            left -= 1
            spans, operator = self._places[name], words[name]
            if i >= len(spans):
                continue
            start, end = spans[i]
            old = text[start:end]
            if not operator.can_edit(old):
                continue
            seed = self.rng.getrandbits(30)
            new = operator.edit(old, Random(seed))
            if new == old:
                continue
            effect = self.box.effects[name]
            found.append(Change(("word", start), name, seed, (start, end), new, max(0, len(new) - len(old))))
            told.append((*self._difference(start, end, new), effect.trust, effect.cost * share, effect.doubt))
        self.changes += found
        scores, sizes, trust, cost, doubt = np.array(told, np.float64).reshape(-1, 5).T
        self.gain = np.concatenate([self.gain, trust * self._gains(scores, sizes)])
        self.cost = np.concatenate([self.cost, np.maximum(cost, LEAST)])
        self.doubt = np.concatenate([self.doubt, doubt])
        return left

    def _difference(self, start: int, end: int, new: str) -> tuple[float, float]:
        """(score, size) that the words at a stretch gain; those at both sides of a gap are part of it."""
        text = self.text
        left, right = text[:start].rsplit(None, 1), text[end:].split(None, 1)
        before = left[-1] if left and not text[start - 1].isspace() else ""
        after = right[0] if right and not text[end].isspace() else ""
        score = size = 0.0
        for sign, words in ((1, f"{before}{new}{after}"), (-1, f"{before}{text[start:end]}{after}")):
            for word in words.split():
                one = self.box.word(word)
                score, size = score + sign * one[0], size + sign * one[1]
        return score, size
