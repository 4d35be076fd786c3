from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redteam.attacks.base import LADDER
from redteam.attacks.canvas import Canvas, Toolbox
from redteam.attacks.greedy import GUIDED, PATIENT, UNGUIDED, Greedy
from redteam.engine import Seed, attack
from redteam.knowledge import Knowledge, Phrase
from redteam.surrogate import Ngrams, Semantic
from sparring import registry
from sparring.embed import DummyEmbedder
from sparring.protocols import Verdict
from sparring.record import digest

TEXT = "urgent win a free prize and claim your cash today call 0800123456{}"
SEEDS = [Seed(f"s{i}", TEXT.format(i), "spam") for i in range(6)]
OPERATORS = {name: registry.make("operator", name) for name in ("dilution", "leet", "merge", "texting", "typo", "zero_width")}
NGRAMS = Ngrams({"urgent": 9.0, "prize": 16.0, "free": 12.0, "claim": 10.0, "win": 4.0}, -0.5)
PHRASES = (Phrase("see you at home", (1.0, 1.2)), Phrase("thanks mate", (0.5, 0.4)))
DIRECTION = DummyEmbedder().encode(["urgent win free prize claim cash now"])[0]


class Judge:
    def __init__(self, reason: str = ""):
        self.reason = reason

    def assess(self, seeds, samples, labels):
        return [Verdict(not self.reason, 1.0, self.reason) for _ in samples]


class Linear:
    """Log-odds linear in the guide's own vectors: what a guide that is the target's encoder sees."""

    labels, threshold = ("benign", "spam"), 0.5

    def __init__(self, bias: float = 0.0):
        self.bias, self.batches, self.guided = bias, list[list[str]](), list[int]()

    def predict_proba(self, samples):
        self.batches.append(list(samples))
        odds = 12 * DummyEmbedder().encode(samples) @ DIRECTION - 12 * self.edge + self.bias
        p = 1 / (1 + np.exp(-odds))
        return np.stack([1 - p, p], 1).astype(np.float32)

    edge = float((DummyEmbedder().encode([s.text for s in SEEDS]) @ DIRECTION).min()) - 0.02

    def semantic(self, trust: float) -> Semantic:
        return Semantic(tuple(12 * DIRECTION), self.bias - 12 * self.edge, trust)


class Counted(DummyEmbedder):
    def __init__(self):
        self.calls = 0

    def encode(self, texts):
        self.calls += 1
        return super().encode(texts)


def greedy(trust: float, guide, target=None) -> Greedy:
    known = Knowledge(NGRAMS, (target or Linear()).semantic(trust), PHRASES)
    return Greedy(OPERATORS, known, guide=guide, near=0.4)


def test_a_guide_that_knows_the_target_needs_one_query_beside_the_clean_check():
    guide, target = Counted(), Linear()
    found = attack(greedy(1.0, guide), target, SEEDS, Judge(), budget=30)
    assert [o.status for o in found] == ["success"] * len(SEEDS)
    assert max(o.queries for o in found) <= 4
    assert min(o.queries for o in found) == 2
    assert guide.calls >= len(SEEDS)


def test_a_guide_that_knows_nothing_of_the_target_is_left_to_the_seeds_that_are_hard():
    guide, target = Counted(), Linear()
    attack(greedy(0.1, guide), target, SEEDS, Judge(), budget=1 + UNGUIDED * 6 + 1)
    assert guide.calls == 0
    stubborn = Linear(bias=50.0)
    attack(greedy(0.1, guide), stubborn, SEEDS, Judge(), budget=1 + UNGUIDED * 6 + 9)
    assert guide.calls


def test_a_search_ends_when_a_trusted_guide_finds_nothing_more():
    guide, stubborn = Counted(), Linear(bias=50.0)
    found = attack(greedy(1.0, guide, stubborn), stubborn, SEEDS, Judge(), budget=200)
    assert [o.status for o in found] == ["survived"] * len(SEEDS)
    assert {o.queries for o in found} == {2}, "the clean check, and what a normaliser undoes"
    assert guide.calls <= 2 * GUIDED * len(SEEDS), "far from enough, it is asked for a second batch and no more"


def test_a_trusted_guide_looks_on_while_it_is_near_and_the_target_is_spared():
    """However far from the threshold a seed lies, nothing is asked that falls short by the guide's say."""
    found = {}
    for bias in np.arange(0.0, 12.0, 0.5):
        target = Linear(bias=float(bias))
        (one,) = attack(greedy(1.0, DummyEmbedder(), target), target, SEEDS[:1], Judge(), budget=200)
        found[float(bias)] = one
    won = [o.queries for o in found.values() if o.status == "success"]
    assert won
    assert max(won) <= 5
    assert {o.queries for o in found.values() if o.status == "survived"} <= {2}


def test_a_guide_that_is_trusted_and_not_certain_does_not_keep_the_target_from_being_asked():
    stubborn = Linear(bias=50.0)
    found = attack(greedy(0.6, DummyEmbedder(), stubborn), stubborn, SEEDS, Judge(), budget=200)
    assert all(o.status == "survived" and 2 + PATIENT <= o.queries < 20 for o in found)


def test_what_a_refused_hit_lost_is_asked_of_the_guide():
    guide, target = Counted(), Linear()
    found = attack(greedy(0.1, guide), target, SEEDS, Judge("cosine"), budget=8)
    assert [len(o.rejected) for o in found] == [2] * len(SEEDS)
    assert guide.calls == len(SEEDS), "with the second the budget was spent, and nothing more is learned"


@pytest.mark.parametrize("bias", [0.0, 50.0])
def test_what_a_normaliser_undoes_is_shown_once_and_only_where_the_first_batch_failed(bias):
    target = Linear(bias)
    found = attack(greedy(0.1, None), target, SEEDS, Judge(), budget=40)
    shown = [s for batch in target.batches for s in batch if "\u200b" in s or "\u200c" in s or "\u2060" in s]
    failed_at_first = [o for o in found if o.queries > 1 + 6]
    assert len(shown) == len(failed_at_first)
    assert bool(shown) == (bias > 0)


@settings(max_examples=20, deadline=None)
@given(trust=st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]), budget=st.integers(2, 30), window=st.integers(1, 7))
def test_budget_and_window_hold_for_any_trust(trust, budget, window):
    def play(size):
        target = Hash()
        found = attack(greedy(trust, DummyEmbedder()), target, SEEDS, Judge(), budget=budget, window=size)
        assert sum(o.queries for o in found) == target.asked
        assert max(o.queries for o in found) <= budget
        return [(o.status, o.queries, o.sample) for o in found]

    assert play(window) == play(256)


class Hash:
    labels, threshold, asked = ("benign", "spam"), 0.05, 0

    def predict_proba(self, samples):
        self.asked += len(samples)
        p = np.array([int(digest(s)[:8], 16) / 2**32 for s in samples], np.float32)
        return np.stack([1 - p, p], 1)


def test_a_ladder_packed_at_once_is_that_of_its_rungs_packed_one_by_one():
    from random import Random

    canvas = Canvas(Toolbox(OPERATORS, Knowledge(NGRAMS, None, PHRASES)), SEEDS[0].text, 0.95, 0.3, Random(0))
    needs = [rung * canvas.needed for rung in LADDER]
    at_once = canvas.pack(canvas.gain, needs=needs, limit=canvas.limit)
    assert at_once == [canvas.pack(canvas.gain, needs=[need], limit=canvas.limit)[0] for need in needs]
    assert len({*at_once}) > 1
    for state, need in zip(at_once, needs, strict=True):
        assert canvas.spent(state) <= canvas.limit
        lighter = [s for s, n in zip(at_once, needs, strict=True) if n < need]
        assert all({*s} <= {*state} for s in lighter)
