from __future__ import annotations

import json

import numpy as np
import pytest

from redteam.attacks.transfer import Transfer
from redteam.engine import Seed, attack
from redteam.knowledge import Knowledge, Phrase
from redteam.surrogate import Ngrams
from sparring import check, jobs, registry
from sparring.embed import DummyEmbedder
from sparring.errors import JobError
from sparring.protocols import Verdict

SEEDS = [Seed(f"s{i}", f"urgent win a free prize and claim your cash today call 0800123456{i}", "spam") for i in range(5)]
OPERATORS = {name: registry.make("operator", name) for name in ("dilution", "leet", "merge", "texting", "typo")}
KNOWN = Knowledge(
    Ngrams({"urgent": 9.0, "prize": 16.0, "free": 12.0, "claim": 10.0, "win": 4.0}, -0.5),
    phrases=(Phrase("see you at home", (1.0, 1.2)), Phrase("thanks mate", (0.5, 0.4))),
)


class Judge:
    def assess(self, seeds, samples, labels):
        return [Verdict(True, 1.0) for _ in samples]


class Target:
    """Spam by the share of telling words; with `fixed` of all but the seeds the same."""

    labels = ("benign", "spam")

    def __init__(self, *, threshold: float = 0.3, fixed: float | None = None):
        self.threshold, self.fixed = threshold, fixed
        self.asked: list[str] = []
        self.batches: list[int] = []

    def predict_proba(self, samples):
        self.asked += samples
        self.batches.append(len(samples))
        share = [sum(w in s.split() for w in ("urgent", "win", "free", "prize", "claim", "cash")) / 6 for s in samples]
        p = np.array([0.05 + 0.9 * x for x in share], np.float32)
        if self.fixed is not None:
            p[[s not in {seed.text for seed in SEEDS} for s in samples]] = self.fixed
        return np.stack([1 - p, p], 1)


@pytest.mark.parametrize("guide", [None, DummyEmbedder()])
@pytest.mark.parametrize("second", [False, True])
def test_the_target_sees_the_seed_and_the_shots_one_by_one_whatever_it_answers(guide, second):
    shown = []
    for fixed in (0.9, 0.6):
        surrogate = Target() if second else None
        strategy = Transfer(OPERATORS, KNOWN, guide=guide, near=0.6, shots=4, free=30, surrogate=surrogate)
        target = Target(threshold=0.1, fixed=fixed)
        found = attack(strategy, target, SEEDS, Judge(), budget=50)
        assert [o.queries for o in found] == [5] * 5
        assert target.batches[0] == 5
        assert target.batches[1:5] == [5] * 4, "one each"
        shown.append(target.asked)
        if surrogate:
            assert len(surrogate.asked) >= 5 * 30
            assert surrogate.batches[1] > 6, "all seeds' tries in one call"
    assert shown[0] == shown[1], "nothing is learned from the answers"


def test_what_a_surrogate_of_the_same_kind_finds_transfers():
    strategy = Transfer(OPERATORS, KNOWN, near=0.9, shots=3, surrogate=Target())
    found = attack(strategy, Target(), SEEDS, Judge(), budget=10)
    assert all(o.status == "success" for o in found)
    assert np.mean([o.queries for o in found]) < 3
    one = attack(strategy, Target(), SEEDS, Judge(), budget=2)
    assert sum(o.status == "success" for o in one) >= 3, "the first shot is the best"


def test_shots_differ_where_the_surrogate_is_as_sure_of_all():
    strategy = Transfer(OPERATORS, KNOWN, shots=3, free=3)
    found = {(1, 2, 3): -2.0, (1, 2, 4): -1.9, (7, 8): -1.5, (1, 2, 3, 4): -1.8}
    assert strategy.order(found, 4.0) == [(1, 2, 3), (7, 8), (1, 2, 4)]
    assert strategy.order(found, 0.0) == [(1, 2, 3), (1, 2, 4), (1, 2, 3, 4)]


def test_settings_that_make_no_sense_are_said(tiny_job):
    with pytest.raises(JobError, match="expected at least 1 shot and as many free tries; got 5 and 4"):
        Transfer(OPERATORS, KNOWN, shots=5, free=4)
    with pytest.raises(JobError, match="expected `surrogate` with a `kind`"):
        check.check(jobs.load(tiny_job(attack__strategy={"kind": "transfer", "surrogate": "sklearn"})))
    with pytest.raises(JobError, match=r"expected a target out of .*; got 'sklern'"):
        check.check(jobs.load(tiny_job(attack__strategy={"kind": "transfer", "surrogate": {"kind": "sklern"}})))


def test_a_job_transfers_from_a_second_target_and_spares_its_own(tiny_job, spar):
    strategy = {"kind": "transfer", "shots": 5, "surrogate": {"kind": "sklearn", "features": "word"}}
    folder = spar(tiny_job(attack__strategy=strategy, retrain="none"))
    (only,) = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["rounds"]
    assert only["warmup_queries"] == 0
    assert 1 <= only["queries_per_seed"] <= 6
    assert json.loads((folder / "surrogate" / "target.json").read_text(encoding="utf-8"))["settings"]["features"] == "word"
    known = json.loads((folder / "round-00" / "attacker.json").read_text(encoding="utf-8"))
    assert known["queries"] > 50, "the second target was asked"
    assert known["ngrams"]["weights"]
