from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, TypeAlias

import numpy as np

from sparring import registry
from sparring.errors import JobError
from sparring.operators.base import editable, in_case_of
from sparring.policy import Policy
from sparring.protocols import Embedder, Target
from sparring.record import Step
from sparring.text import canonical

from ..engine import NOT_JUDGED, Ask, Attack, Candidate, Search, Seed, Told
from ..knowledge import log_odds

Flips: TypeAlias = dict[int, int]  # number of a word of the text -> number of the word in its place

LADDER = (0.8, 1.0, 1.25, 1.6, 2.0, 3.0)  # of the log-odds needed
MOST_WORDS = 64  # of a text that are looked at
ALLOWED = 0.85  # of the similarity that the judge lets go: what a swap costs is guessed
SPARE = 0.005  # similarity that a guided sample keeps in hand
USUAL = 0.6  # similarity that is lost when every word is swapped, where no guide says
_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, eq=False)
class Swaps(Ask):
    """The gradient at a text, as the log-odds that each swap should gain."""

    text: str
    spans: tuple[tuple[int, int], ...]
    words: tuple[str, ...]

    @property
    def queries(self) -> int:
        return 1

    @classmethod
    def answer(cls, asked: Sequence[Swaps], target: Target) -> list[np.ndarray]:
        white: Any = target
        if not hasattr(white, "swap_gains"):
            able = ", ".join(registry.flagged("target", "gradients"))
            raise JobError(
                f"attack 'hotflip' needs a target that gives gradients ({able}); got {type(target).__name__}. "
                "Fix: such a target, or a strategy that asks for scores alone, as `greedy` does"
            )
        return white.swap_gains([one.text for one in asked], [one.spans for one in asked], asked[0].words)


class HotFlip(Attack):
    """White-box: swaps whole words for the benign words that should lower the target's score most by its own gradient, several
    at once, and takes the gradient anew at the best text so far.

    HotFlip (Ebrahimi et al. 2018, https://arxiv.org/abs/1712.06751). `words` may come in, the commonest of the benign training
    rows by default. What a swap costs in similarity is told by the `guide`. Every gradient counts as a query.
    """

    gradients: ClassVar[bool] = True
    makes: ClassVar[Mapping[str, str]] = {"swap": "word"}

    def __init__(
        self, *, words: Sequence[str], width: int = 6, rules: Policy | None = None, guide: Embedder | None = None,
        near: float = 0.2,
    ):  # fmt: skip
        self.words = tuple(dict.fromkeys(words))
        if not self.words or width < 1:
            raise JobError(f"attack 'hotflip': expected words and a width of at least 1; got {len(self.words)} and {width}")
        self.width, self.guide, self.near = width, guide, near
        self.payload = rules.payload if rules else ()
        self._lower = np.array([word.lower() for word in self.words])

    def __repr__(self) -> str:
        settings = f"width={self.width}, near={self.near:.4g}, guided={self.guide is not None}, payload={self.payload!r}"
        return f"HotFlip(words={self.words!r}, {settings})"

    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> Search:
        here = _Seed(self, seed.text, rng)
        base: Flips = {}
        odds, goal = log_odds([score, threshold]).tolist()
        gains = yield Swaps(*here.render(base), self.words)
        while batch := here.batch(base, gains, odds - goal):
            told: list[Told] = yield [here.candidate(flips) for flips in batch]
            best, least = here.learn(base, batch, told, odds, gains)
            if best is not base:
                base, odds = best, least
                gains = yield Swaps(*here.render(base), self.words)


class _Seed:
    """One seed's search: which of its words may go, what each costs, what was tried."""

    def __init__(self, attack: HotFlip, text: str, rng: Random):
        self.attack, self.text = attack, text
        self.noise = np.random.default_rng(rng.getrandbits(64))
        spans = [(a + m.start(), a + m.end()) for a, b in editable(text, attack.payload) if (m := _one(text[a:b]))]
        self.places = sorted(rng.sample(spans, MOST_WORDS)) if len(spans) > MOST_WORDS else spans
        self.cost = self._costs()
        self.limit, self.trust = ALLOWED * attack.near, 1.0
        self.tried: set[tuple[tuple[int, int], ...]] = set()

    def _costs(self) -> np.ndarray:
        """(t,) similarity that goes with each word."""
        guide, text = self.attack.guide, self.text
        if not guide or not self.places:
            return np.full(len(self.places), USUAL / max(1, len(text.split())))
        vectors = guide.encode([canonical(t) for t in (text, *(text[:a] + text[b:] for a, b in self.places))])
        return np.maximum(1 - vectors[1:] @ vectors[0], 1e-3)

    def render(self, flips: Flips) -> tuple[str, tuple[tuple[int, int], ...]]:
        """The text, and where each of the words now stands in it."""
        out, spans, position, length = list[str](), list[tuple[int, int]](), 0, 0
        for k, (start, end) in enumerate(self.places):
            old = self.text[start:end]
            new = in_case_of(old, self.attack.words[flips[k]]) if k in flips else old
            out += [self.text[position:start], new]
            length += start - position
            spans.append((length, length + len(new)))
            position, length = end, length + len(new)
        return "".join(out) + self.text[position:], tuple(spans)

    def candidate(self, flips: Flips) -> Candidate:
        return Candidate(self.render(flips)[0], (Step("swap", round(len(flips) / len(self.places), 4), 0),))

    def batch(self, base: Flips, gains: np.ndarray, needed: float) -> list[Flips]:
        """New texts, from light to heavy by what they should gain; with a guide those alone that stay near the seed."""
        width = self.attack.width
        found = self._packed(base, gains, needed, width * (2 if self.attack.guide else 1))
        if not self.attack.guide or not found:
            return found
        texts = [self.text, *(self.render(flips)[0] for flips in found)]
        vectors = self.attack.guide.encode([canonical(text) for text in texts])
        lost = (1 - vectors[1:] @ vectors[0]).tolist()
        guessed = [float(self.cost[list(flips)].sum()) for flips in found]
        self.cost *= float(np.clip(np.median(np.array(lost) / np.maximum(guessed, 1e-3)), 0.7, 1.4))
        kept = [flips for flips, cost in zip(found, lost, strict=True) if cost <= self.attack.near - SPARE]
        return kept[:width] or [found[int(np.argmin(lost))]]

    def _packed(self, base: Flips, gains: np.ndarray, needed: float, most: int) -> list[Flips]:
        """Swaps by gain for cost, on top of `base`, until they should gain what is needed; then with noise in the gains."""
        out: list[Flips] = []
        if not gains.size:
            return out
        gains = np.where(self._same(), -np.inf, gains)
        for attempt in range(4 * most):
            noise = self.noise.normal(1.0, 0.0 if attempt < len(LADDER) else 0.4, gains.shape)
            drawn = np.where(np.isfinite(gains), gains * noise, -np.inf)
            word = drawn.argmax(1)
            gain = drawn[np.arange(len(drawn)), word]
            flips, got, need = dict(base), 0.0, LADDER[attempt % len(LADDER)] * needed / self.trust
            for k in np.argsort(-gain / self.cost, kind="stable").tolist():
                if gain[k] <= 0 or got >= need:
                    break
                if self.cost[list({*flips, k})].sum() <= self.limit:
                    flips[k], got = int(word[k]), got + float(gain[k])
            key = tuple(sorted(flips.items()))
            if flips and key not in self.tried:
                self.tried.add(key)
                out.append(flips)
            if len(out) == most:
                break
        return sorted(out, key=lambda flips: float(self.cost[list(flips)].sum()))

    def _same(self) -> np.ndarray:
        """(t, n) bool: a word in its own place."""
        own = np.array([self.text[a:b].lower() for a, b in self.places])
        return own[:, None] == self.attack._lower[None]

    def learn(self, base: Flips, batch: list[Flips], told: list[Told], odds: float, gains: np.ndarray) -> tuple[Flips, float]:
        """The text to go on from and its log-odds: the best that the target still caught, or `base`."""
        best, least, refused = base, odds, False
        for flips, answer in zip(batch, told, strict=True):
            if answer.score is None or answer.reason == NOT_JUDGED:
                continue
            if answer.hit:  # that the judge refused
                refused, self.limit = True, min(self.limit, 0.9 * float(self.cost[list(flips)].sum()))
                continue
            now = float(log_odds(answer.score))
            expected = sum(float(gains[k, j]) for k, j in flips.items() if base.get(k) != j)
            if expected > 1e-6:
                self.trust = 0.7 * self.trust + 0.3 * float(np.clip((odds - now) / expected, 0.1, 2.0))
            if now < least - 1e-6:
                best, least = flips, now
        self.limit = self.limit if refused else min(1.3 * self.limit, 0.6)
        if sum(self.cost[list(best)]) > self.limit:  # too far to go on from
            return base, odds
        return best, least


def _one(word: str) -> re.Match[str] | None:
    """The letters of a word that has one run of them and no digits: "(free!)", but not "b2b" or "don't"."""
    found = list(_LETTERS.finditer(word))
    return found[0] if len(found) == 1 and not any(map(str.isdigit, word)) else None
