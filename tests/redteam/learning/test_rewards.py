from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from redteam.learning.rewards import Fluency, Rarity, Referee, advantages, among, effective_number
from sparring.errors import JobError


def test_evasion_is_paid_by_the_way_to_the_threshold_and_never_for_what_the_judge_refuses(target, judge, prey):
    seed = prey[0]
    words = seed.text.split()
    half = " ".join(w + "x" if i < 3 else w for i, w in enumerate(words))
    paid = Referee(target, judge, budget=100).pay([seed] * 4, [seed.text, half, "see you at home", half.replace("0", "o")])
    assert paid.evasion[0] == 0 < paid.evasion[1]
    assert paid.success.tolist() == [False, True, False, False]  # the last two lost the payload
    assert paid.evasion[2:].tolist() == [0, 0]
    assert paid.fidelity.tolist() == [1, 1, 0, 0]


def test_what_a_normaliser_undoes_is_paid_nothing_and_both_forms_count(target, judge, prey):
    hidden = prey[0].text.replace("a", "а").replace("e", "е")
    referee = Referee(target, judge, budget=100)
    assert referee.pay([prey[0]], [hidden]).evasion[0] == 0
    assert referee.queries == len(target.asked) == 2  # the seed, which is also the canonical form, and the sample
    referee.pay([prey[0]], [hidden])
    assert referee.queries == 2


def test_a_referee_never_asks_beyond_its_budget(target, judge, prey):
    referee = Referee(target, judge, budget=5)
    with pytest.raises(ValueError, match="at most 5 new texts"):
        referee.log_odds([s.text for s in prey])
    assert target.asked == []


def test_fluency_prefers_usual_characters():
    fluency = Fluency(["see you at home later", "thanks for lunch", "call me later at home"] * 5)
    assert fluency.surprise("see you later") < fluency.surprise("zqxj wvkq")
    assert fluency.surprise("sее you lаter") == fluency.surprise("see you later")  # look-alikes: what is read


def test_rarity_falls_with_use_by_operator_and_by_family():
    rarity = Rarity({"leet": "character", "typo": "character", "merge": "word"})
    assert rarity.pay([("leet",), ("merge",)]).tolist() == [1, 1]
    rarity.add([("leet",)] * 50)
    leet, typo, merge, both = rarity.pay([("leet",), ("typo",), ("merge",), ("leet", "merge")])
    assert 0 <= leet < typo < merge == 1
    assert both == pytest.approx((leet + merge) / 2)


def test_the_effective_number_is_exp_of_the_entropy():
    assert effective_number(Counter()) == 0
    assert effective_number(Counter(a=9)) == pytest.approx(1)
    assert effective_number(Counter(a=3, b=3, c=3, d=3)) == pytest.approx(4)
    assert 1 < effective_number(Counter(a=99, b=1)) < 1.1


def test_advantages_are_even_within_a_group_and_no_reward_drowns_another():
    rewards = {"big": np.array([0, 1000.0, 5, 5]), "small": np.array([0, 0.001, 0.001, 0])}
    found = advantages(rewards, {"big": 1.0, "small": 1.0}, group=2)
    assert found[:2].sum() == pytest.approx(0, abs=1e-6)
    assert found[1] > found[2] > 0 > found[3] > found[0]
    only = advantages(rewards, {"small": 1.0}, group=2)
    assert only[2] == pytest.approx(only[1])
    with pytest.raises(JobError, match="expected weights for big, small; got smal"):
        advantages(rewards, {"smal": 1.0}, group=2)


def test_a_reward_among_those_that_evade_pays_nothing_for_failing():
    found = among(np.array([1.0, 0.0, 0.5, 9.0]), np.array([1.0, 1.0, 0.0, 0.0]), group=4)
    assert found.tolist() == [0.5, -0.5, 0, 0]
