from __future__ import annotations

import json

import numpy as np
import pytest

from redteam.attacks.hotflip import HotFlip
from redteam.engine import Seed, attack
from sparring import check, jobs, registry
from sparring.embed import DummyEmbedder
from sparring.errors import JobError
from sparring.protocols import Verdict

CALM = "see you at home later lunch dinner mum bus sleep work tonight".split()
TELLING = "free prize claim win cash urgent offer reply".split()
SEED = Seed("s", "URGENT! Win a free cash prize (claim now), call 08001234567 or visit www.prize.com b2b", "spam")


class Judge:
    def assess(self, seeds, samples, labels):
        return [Verdict(True, 1.0) for _ in samples]


class Counted:
    """A fitted target that counts scores and gradients apart."""

    def __init__(self, inner):
        self.inner, self.labels, self.threshold = inner, inner.labels, inner.threshold
        self.scored: list[str] = []
        self.derived: list[str] = []

    def predict_proba(self, samples):
        self.scored += samples
        return self.inner.predict_proba(samples)

    def swap_gains(self, samples, spans, words):
        self.derived += samples
        return self.inner.swap_gains(samples, spans, words)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(TELLING if i % 2 else CALM, 7)) for i in range(80)]
    labels = ["spam" if i % 2 else "benign" for i in range(80)]
    return registry.make("target", "sklearn").fit(texts, labels, names=("benign", "spam"), seed=0)


@pytest.mark.parametrize("guide", [None, DummyEmbedder()])
def test_it_gets_past_in_few_queries_and_touches_neither_payload_nor_numbers(fitted, guide):
    target = Counted(fitted)
    (found,) = attack(HotFlip(words=CALM, guide=guide, near=0.9), target, [SEED], Judge(), budget=30)
    assert found.status == "success"
    assert found.queries == len(target.scored) + len(target.derived) <= 10
    assert target.derived[0] == SEED.text
    kept = ("08001234567", "www.prize.com", "b2b", "(", "),")
    assert all(part in found.sample.text for part in kept)
    old, new = SEED.text.split(), found.sample.text.split()
    changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    assert changed
    assert all(b.strip("(),!").lower() in CALM for _, b in changed)
    assert all(b.isupper() for a, b in changed if a == "URGENT!")
    (step,) = found.sample.steps
    assert step.name == "swap"
    assert 0 < step.strength <= 1


def test_the_first_swaps_are_those_that_the_weights_say(fitted):
    strategy = HotFlip(words=CALM, width=1)
    target = Counted(fitted)
    attack(strategy, target, [SEED], Judge(), budget=3)
    first = target.scored[1].lower().split()
    gone = {word.strip("(),!").lower() for word in SEED.text.split()} - {word.strip("(),!") for word in first}
    assert gone & set(TELLING)
    assert gone <= {*TELLING, "now", "a", "call", "or", "visit"}


@pytest.mark.parametrize("budget", [2, 3, 4, 9])
def test_a_gradient_is_a_query(fitted, budget):
    target = Counted(fitted)
    target.threshold = -1.0  # nothing passes
    (found,) = attack(HotFlip(words=CALM, near=0.9), target, [SEED], Judge(), budget=budget)
    assert found.queries == len(target.scored) + len(target.derived) == budget
    assert len(target.scored) == budget - len(target.derived)
    assert len(target.derived) >= 1


def test_a_target_that_keeps_its_gradients_is_named_with_those_that_give_them(tiny_job):
    class Closed:
        labels, threshold = ("benign", "spam"), 0.5

        def predict_proba(self, samples):
            return np.tile(np.array([[0.1, 0.9]], np.float32), (len(samples), 1))

    with pytest.raises(JobError, match=r"gives gradients \(pretrained, sklearn, sklearn_file, transformers\); got Closed"):
        attack(HotFlip(words=CALM), Closed(), [SEED], Judge(), budget=5)
    with pytest.raises(JobError, match=r"attack 'hotflip' needs a target that gives gradients .*; got 'dummy'\. Fix:"):
        check.check(jobs.load(tiny_job(attack__strategy={"kind": "hotflip"})))
    with pytest.raises(JobError, match="expected words and a width of at least 1; got 0 and 6"):
        HotFlip(words=())


def test_a_job_attacks_by_gradients(tiny_job, spar):
    strategy = {"kind": "hotflip", "width": 4}
    folder = spar(tiny_job(target={"kind": "sklearn"}, attack__strategy=strategy, retrain="none"))
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    (only,) = summary["rounds"]
    assert only["asr_fresh"][0] > 0.2
    assert summary["archive"]["axes"]["family"] == ["word"]
    assert only["warmup_queries"] == 0
