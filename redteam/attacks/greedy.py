from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from sparring.operators.base import Operator, WordOperator, editable
from sparring.record import Step

from ..engine import NOT_JUDGED, Attack, Candidate, Search, Seed, Told
from ..knowledge import Knowledge, word_key

UNKNOWN = 0.05  # importance of a word that warm-up never met: above the harmless, below the telling


@dataclass(frozen=True, slots=True)
class _State:
    """A set of edits: word position -> (operator, its seed); phrases in the order they are added."""

    edits: tuple[tuple[int, str, int], ...] = ()
    phrases: tuple[str, ...] = ()
    front: bool = False

    @property
    def size(self) -> int:
        return len(self.edits) + len(self.phrases)

    def covers(self, other: _State) -> bool:
        """Whether all that `other` changes is changed here too, by whatever operator."""
        edited = {i for i, *_ in self.edits}
        return edited.issuperset(i for i, *_ in other.edits) and set(self.phrases).issuperset(other.phrases)


class Greedy(Attack):
    """Best-first search over word edits and benign phrases, guided by what warm-up taught about the target.

    Each batch widens the best state so far: the words that weigh most, edited by operators in turn, and the phrases
    that calm the target most. A hit that the judge refuses is taken back step by step instead.
    """

    def __init__(self, operators: Mapping[str, Operator], knowledge: Knowledge, *, width: int = 6, longer: float = 1.5):
        # What a normaliser undoes is tried once, to show the raw exposure; it can't succeed, so no search is spent on it.
        self.undone = {name: op for name, op in operators.items() if op.undone_by == "unicode"}
        words = {name: op for name, op in operators.items() if isinstance(op, WordOperator)}
        self.words = {name: op for name, op in words.items() if name not in self.undone}
        self.dilutes = any(op.family == "dilution" for op in operators.values())
        self.payload = next((op.payload for op in operators.values()), ())
        self.knowledge, self.width, self.longer = knowledge, width, longer

    def __repr__(self) -> str:
        return f"Greedy({', '.join(self.words)}, dilution={self.dilutes}, width={self.width})"

    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> Search:
        canvas = _Canvas(self, seed.text, rng)
        scored: dict[_State, float] = {_State(): score}
        refused: list[_State] = []
        too_much: list[_State] = []  # what the judge refused: whatever covers it would be refused as well
        states = canvas.first()
        tried: set[_State] = set(states)
        if self.undone:
            yield [canvas.one_shot()]
        while states:
            told: list[Told] = yield [canvas.render(state) for state in states]
            for state, answer in zip(states, told, strict=True):
                if answer.hit and answer.reason != NOT_JUDGED:
                    refused.append(state)
                    too_much.append(state)
                elif answer.score is not None:
                    scored[state] = answer.score
            wishes = itertools.chain(canvas.smaller(refused), canvas.larger(min(scored, key=lambda s: (scored[s], s.size))))
            states = []
            for state in wishes:
                if state not in tried and not any(state.covers(other) for other in too_much):
                    tried.add(state)
                    states.append(state)
                if len(states) == self.width:
                    break
            refused = []


class _Canvas:
    """One seed, cut into words; draws states as text."""

    def __init__(self, attack: Greedy, text: str, rng: Random):
        self.attack, self.text, self.rng = attack, text, rng
        self.spans = editable(text, attack.payload)
        self.places = {name: op.spans(text) for name, op in attack.words.items()}  # a word each, or the gap behind it
        weights = attack.knowledge.words
        able = [i for i, (a, b) in enumerate(self.spans) if any(c.isalpha() for c in text[a:b])]
        weight = {i: weights.get(word_key(text[self.spans[i][0] : self.spans[i][1]]), UNKNOWN) for i in able}
        self.ranked = sorted((i for i in able if weight[i] > 0), key=lambda i: -weight[i])
        self.names = list(attack.words)
        self.room = (attack.longer - 1) * len(text) + 20
        gains = attack.knowledge.phrases if attack.dilutes else ()
        self.phrases = [p for p, _ in gains if len(p) < self.room]

    def one_shot(self) -> Candidate:
        """The whole text through one operator that a normaliser undoes."""
        name, seed = self.rng.choice(sorted(self.attack.undone)), self.rng.randrange(1 << 30)
        text = self.attack.undone[name].apply(self.text, strength=1.0, rng=Random(seed))
        return Candidate(text, (Step(name, 1.0, seed),))

    def first(self) -> list[_State]:
        """A ladder from light to heavy, all kinds of edit apart and together."""
        light, heavy = self.fill(1), self.fill(4)
        states = [_State((), light), _State((), heavy, True), self.edit(_State(), 2), self.edit(_State((), light), 2)]
        states += [self.edit(_State((), heavy), 3), self.edit(_State((), heavy, True), 5)]
        return list(dict.fromkeys(s for s in states if s.size))

    def fill(self, most: int) -> tuple[str, ...]:
        """Up to `most` phrases that fit together, drawn with a preference for the best."""
        chosen: list[str] = []
        room = self.room
        for phrase in sorted(self.phrases, key=lambda p: self.phrases.index(p) * self.rng.random())[: 3 * most]:
            if len(phrase) + 1 <= room and len(chosen) < most:
                chosen.append(phrase)
                room -= len(phrase) + 1
        return tuple(chosen)

    def edit(self, state: _State, more: int) -> _State:
        """`more` further words edited, the weightiest first, each by an operator that can."""
        edits, done = list(state.edits), {i for i, *_ in state.edits}
        for i in self.ranked:
            if more <= 0:
                break
            if i in done:
                continue
            names = [n for n in self.names if self.able(n, i)]
            if names:
                edits.append((i, self.rng.choice(names), self.rng.randrange(1 << 30)))
                more -= 1
        return _State(tuple(edits), state.phrases, state.front)

    def able(self, name: str, i: int) -> bool:
        places = self.places[name]
        return i < len(places) and self.attack.words[name].can_edit(self.text[slice(*places[i])])

    def smaller(self, refused: Sequence[_State]) -> list[_State]:
        """Each refused hit with one edit or phrase less, the least weighty first."""
        out = []
        for state in refused:
            half = len(state.edits) // 2
            if half:
                out.append(_State(state.edits[:half], state.phrases, state.front))
            out += [
                _State(state.edits[:i] + state.edits[i + 1 :], state.phrases, state.front) for i in range(len(state.edits))
            ][::-1]
            out += [
                _State(state.edits, state.phrases[:i] + state.phrases[i + 1 :], state.front) for i in range(len(state.phrases))
            ]
        return [s for s in out if s.size]

    def larger(self, best: _State) -> list[_State]:
        """The best state widened: another word, two more, other phrases, another place for them."""
        out = [self.edit(best, 1), self.edit(best, 1), self.edit(best, 2), _State(best.edits, self.fill(4), best.front)]
        out += [
            _State(best.edits, self.fill(2), not best.front),
            self.edit(_State(best.edits, self.fill(4), not best.front), 1),
        ]
        out += [self.edit(_State((), self.fill(4), best.front), len(best.edits) + 1)]
        return [s for s in out if s.size]

    def render(self, state: _State) -> Candidate:
        parts, position = [], 0
        used: dict[str, list[int]] = {}
        for (start, end), name, seed in sorted((self.places[name][i], name, seed) for i, name, seed in state.edits):
            parts += [self.text[position:start], self.attack.words[name].edit(self.text[start:end], Random(seed))]
            position = end
            used.setdefault(name, []).append(seed)
        text = "".join(parts) + self.text[position:]
        steps = [Step(name, round(len(seeds) / max(1, len(self.spans)), 4), seeds[0]) for name, seeds in used.items()]
        if state.phrases:
            added = " ".join(state.phrases)
            text = f"{added} {text}" if state.front else f"{text} {added}"
            steps.append(Step("dilution", round(len(added) / max(1, len(self.text)), 4), 0))
        return Candidate(text, tuple(steps))
