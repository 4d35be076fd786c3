"""Contracts over the registry, and the parts of this stage on small made text."""

from __future__ import annotations

import json
from random import Random

import numpy as np
import pytest

from redteam import warmup
from redteam.engine import Ask, Candidate, Seed, Told
from redteam.judges.classifier import ClassifierJudge
from redteam.knowledge import Effect, Knowledge, Phrase
from redteam.surrogate import Ngrams, Semantic
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
    Ngrams({"urgent!": 9.0, "prize,": 16.0, "free": 12.0, "claim": 10.0, "won": 4.0}, -0.5),
    phrases=(Phrase("see you at home", (1.0, 1.2)), Phrase("thanks mate", (0.5, 0.4))),
    effects={"typo": Effect(0.3, 0.9, 0.2)},
)


@pytest.mark.parametrize("name", registry.names("attack"))
def test_a_strategy_is_deterministic_ends_and_proposes_sound_candidates(made, name):
    class WhiteBox:
        def swap_gains(self, samples, spans, words):
            sizes = [(len(text), len(mine)) for text, mine in zip(samples, spans, strict=True)]
            return [np.random.default_rng(length).normal(size=(n, len(words))) for length, n in sizes]

    def play(told_hit: bool):
        strategy = made(name, OPERATORS, KNOWN)
        search, out, answer = strategy.search(SEED, 0.99, 0.5, Random(1)), [], None
        for _ in range(80):
            try:
                said = search.send(answer)
            except StopIteration:
                break
            if isinstance(said, Ask):
                (answer,) = type(said).answer([said], WhiteBox())
                continue
            out += said
            answer = [Told(c, 0.8, told_hit, "cosine" if told_hit else "caught") for c in said]
        return out

    for hit in (False, True):
        first = play(hit)
        assert first == play(hit)
        assert first
        assert all(isinstance(c, Candidate) and c.steps for c in first)
        for candidate in first:
            assert all(p in canonical(candidate.text) for p in payload(SEED.text)), candidate.text
    assert len({c.text for c in play(False)}) >= 10


@pytest.mark.parametrize("guide", [None, DummyEmbedder()])
@pytest.mark.parametrize("budget", [64, 301, 2000])
def test_warm_up_keeps_its_budget_and_learns_which_words_and_phrases_matter(budget, guide):
    asked = []

    def score(texts):
        asked.extend(texts)
        return np.array([0.05 if "see you" in t else 0.95 if "win" in t else 0.3 for t in texts])

    found = warmup.learn(score, SPAM, BENIGN, OPERATORS, budget=budget, seed=0, guide=guide)
    assert found.queries == len(asked) <= budget
    assert len(asked) <= len(set(asked)) + 2 * warmup.PROBES, "nothing is asked about again but to see whether answers differ"
    assert found.unsteady == 0
    assert found.ngrams.of("win cash now") > found.ngrams.of("see you at home") + 1
    assert "see you" in found.phrases[0].text
    assert (found.semantic is None) == (guide is None)
    assert Knowledge.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_without_a_budget_nothing_is_asked():
    found = warmup.learn(lambda texts: 1 / 0, SPAM, BENIGN, OPERATORS, budget=0, seed=0)
    assert found.queries == 0
    assert found.phrases


def test_a_row_that_the_target_fails_on_in_warm_up_teaches_nothing_and_breaks_nothing():
    def score(texts):
        return np.array([np.nan if i % 5 == 0 else 0.9 if "win" in t else 0.1 for i, t in enumerate(texts)])

    found = warmup.learn(score, SPAM, BENIGN, OPERATORS, budget=400, seed=0, guide=DummyEmbedder())
    assert np.isfinite(found.ngrams.bias)
    assert found.ngrams.of("win cash now") > found.ngrams.of("see you at home")


def test_a_target_that_answers_differently_for_the_same_text_is_found_out():
    rng = np.random.default_rng(0)
    found = warmup.learn(lambda t: 0.5 + 0.1 * rng.random(len(t)), SPAM, BENIGN, OPERATORS, budget=200, seed=0)
    assert 0.01 < found.unsteady < 0.1
    assert found.queries <= 200


def test_the_surrogates_guess_what_a_linear_target_says():
    rng = Random(3)
    texts = [
        " ".join(rng.sample("win cash now call claim prize gold see you later home lunch at six fine".split(), 6))
        for _ in range(300)
    ]
    truth = np.array([1.5 * ("win" in t.split()) + 2 * ("prize" in t.split()) - ("lunch" in t.split()) for t in texts])
    guess = Ngrams.fit(texts[:200], truth[:200])
    assert np.corrcoef([guess.of(t) for t in texts[200:]], truth[200:])[0, 1] > 0.98
    vectors = DummyEmbedder().encode(texts)
    assert np.corrcoef(Semantic.fit(vectors[:200], truth[:200]).of(vectors[200:]), truth[200:])[0, 1] > 0.8


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
