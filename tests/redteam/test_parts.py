"""Contracts over the registry, and the parts of this stage on small made text."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from redteam import knowledge
from redteam.engine import Candidate, Seed, Told
from redteam.judges.classifier import ClassifierJudge
from redteam.knowledge import Knowledge
from sparring import registry
from sparring.embed import DummyEmbedder
from sparring.text import canonical, payload

BENIGN = [
    f"{a} at {b} later, {c} is fine" for a in ("see you", "lunch", "meet me") for b in ("home", "work") for c in ("six", "ten")
]
SPAM = [
    f"win {a} now, call 0800123456{i} to claim {b}" for i, a in enumerate(("cash", "a prize", "gold")) for b in ("it", "yours")
]
SEED = Seed("s", "Urgent! You have won a free prize, call 08001234567 or visit www.prize.com to claim your £500 now", "spam")
OPERATORS = {name: registry.make("operator", name) for name in registry.names("operator")}
KNOWN = Knowledge(
    {"urgent": 1.0, "prize": 2.0, "free": 1.5, "claim": 1.2, "won": 0.4}, (("see you at home", 1.0), ("thanks mate", 0.5))
)


@pytest.mark.parametrize("name", registry.names("attack"))
def test_a_strategy_is_deterministic_ends_and_proposes_sound_candidates(name):
    def play(told_hit: bool):
        strategy = registry.make("attack", name, operators=OPERATORS, knowledge=KNOWN)
        search, out = strategy.search(SEED, 0.99, 0.5, Random(1)), []
        proposed = next(search, [])
        for _ in range(40):
            if not proposed:
                break
            out += proposed
            try:
                proposed = search.send([Told(c, 0.8, told_hit, "cosine" if told_hit else "caught") for c in proposed])
            except StopIteration:
                break
        return out

    for hit in (False, True):
        first = play(hit)
        assert first == play(hit)
        assert first
        assert all(isinstance(c, Candidate) and c.steps for c in first)
        for candidate in first:
            assert all(p in canonical(candidate.text) for p in payload(SEED.text)), candidate.text
    assert len({c.text for c in play(False)}) > 10


def test_knowledge_keeps_its_budget_and_learns_which_words_and_phrases_matter():
    asked = []

    def score(texts):
        asked.extend(texts)
        return np.array([0.95 if "win" in t and "see you" not in t else 0.05 for t in texts])

    found = knowledge.learn(score, SPAM, BENIGN, budget=300, seed=0)
    assert found.queries == len(asked) <= 300
    assert max(found.words, key=found.words.get) in {"win", "now", "call", "to", "claim"}
    assert "see you" in found.phrases[0][0]
    assert Knowledge.from_json(found.to_json()) == found


def test_without_a_budget_nothing_is_asked():
    found = knowledge.learn(lambda texts: 1 / 0, SPAM, BENIGN, budget=0, seed=0)
    assert found.queries == 0
    assert found.phrases


def test_the_judge_names_its_reasons_in_order():
    judge = ClassifierJudge(DummyEmbedder(), cosine=0.8).fit(
        SPAM * 2 + BENIGN, ["spam"] * 2 * len(SPAM) + ["benign"] * len(BENIGN)
    )
    seed = SPAM[0]
    samples = [seed, seed.replace("08001234560", "me"), seed + " and more of the same" * 4, "x 08001234560", BENIGN[0]]
    found = judge.assess([seed] * 4 + [""], samples, ["spam"] * 5)
    assert [v.reason for v in found] == ["", "payload", "length", "cosine", "label"]
    assert [v.valid for v in found] == [True, False, False, False, False]
    assert all(0 <= v.score <= 1 for v in found)
    assert judge.assess([], [], []) == []


def test_the_judge_sees_through_what_a_normaliser_undoes():
    judge = ClassifierJudge(DummyEmbedder(), cosine=0.8).fit(
        SPAM * 2 + BENIGN, ["spam"] * 2 * len(SPAM) + ["benign"] * len(BENIGN)
    )
    for name in ("homoglyph", "zero_width", "full_width"):
        sample = OPERATORS[name].apply(SPAM[0], strength=1.0, rng=Random(0))
        assert sample != SPAM[0]
        assert judge.assess([SPAM[0]], [sample], ["spam"])[0].valid, name
