from __future__ import annotations

import json
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redteam.learning import chains
from redteam.learning.chains import LEVELS, LONGEST, ChainPolicy
from sparring.errors import JobError

NAMES = ("leet", "merge", "typo", "texting")


def some(seed: int, names=NAMES) -> ChainPolicy:
    rng, uniform = np.random.default_rng(seed), ChainPolicy.uniform(names)
    return ChainPolicy(names, rng.normal(size=uniform.position.shape), rng.normal(size=uniform.previous.shape), queries=7)


def log_p(policy: ChainPolicy, chain) -> float:
    ended = chain if len(chain) == min(LONGEST, len(policy.operators)) else (*chain, policy.stop)
    return sum(float(np.log(policy.odds(ended[:i])[c])) for i, c in enumerate(ended))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 99), n=st.integers(1, 4))
def test_a_chain_has_one_to_three_operators_and_none_twice(seed, n):
    policy, rng = some(seed, NAMES[:n]), Random(seed)
    for _ in range(20):
        names = policy.names(policy.draw(rng))
        assert 1 <= len(names) <= min(LONGEST, n)
        assert len(set(names)) == len(names)


def test_chains_are_drawn_as_often_as_their_probability_says():
    policy, rng, n = some(1, NAMES[:2]), Random(0), 4000
    drawn = Counter(policy.draw(rng) for _ in range(n))
    assert sum(np.exp(log_p(policy, chain)) for chain in drawn) == pytest.approx(1, abs=0.02)
    for chain, count in drawn.most_common(5):
        assert count / n == pytest.approx(np.exp(log_p(policy, chain)), abs=0.03)


def test_a_step_is_the_gradient_of_the_log_probability():
    """Against finite differences, for every logit."""
    policy, chain, small = some(2), (1, 4), 1e-5
    step = policy.learned([chain], [1.0], rate=1.0)
    for part in ("position", "previous"):
        logits, slope = getattr(policy, part), getattr(step, part) - getattr(policy, part)
        for place in np.ndindex(logits.shape):
            before, ends = logits[place], []
            for shift in (small, -small):
                logits[place] = before + shift
                ends.append(log_p(policy, chain))
            logits[place] = before
            assert slope[place] == pytest.approx((ends[0] - ends[1]) / (2 * small), abs=1e-6), (part, place)


def test_a_rewarded_chain_becomes_likelier_and_others_less():
    policy = ChainPolicy.uniform(NAMES)
    after = policy.learned([(0,), (3, 6)], [1.0, -1.0], rate=1.0)
    assert log_p(after, (0,)) > log_p(policy, (0,))
    assert log_p(after, (3, 6)) < log_p(policy, (3, 6))


def test_a_policy_survives_its_file(tmp_path):
    policy = some(3)
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy.to_json(note="made by a test")), encoding="utf-8")
    read = ChainPolicy.load(path)
    assert np.allclose(read.odds((1,)), policy.odds((1,)), atol=1e-4)
    assert (read.operators, read.levels, read.queries) == (NAMES, LEVELS, 7)
    assert repr(read) == repr(ChainPolicy.load(path)) != repr(some(4))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"previous": [[0.0]]}, "expected logits of shape"),
        ({"position": [[float("nan")] * 13] * 3}, "finite"),
        ({"format": 2}, "less than or equal to 1"),
        ({"operators": []}, "at least 1 item"),
        ({"levels": [0.0]}, "greater than 0"),
        ({"extra": 1}, "unknown key 'extra'"),
    ],
)
def test_a_file_that_is_no_policy_is_said(tmp_path, change, said):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(some(0).to_json() | change).replace("NaN", ".nan"), encoding="utf-8")
    with pytest.raises(JobError, match=said):
        ChainPolicy.load(path)


def test_a_policy_over_fewer_operators_keeps_their_odds_to_one_another():
    policy = some(5)
    less = policy.only(["typo", "leet", "spacing"])
    assert less.operators == ("leet", "typo")
    whole, part = policy.odds(()), less.odds(())
    kept = [*range(3), *range(6, 9)]
    assert np.allclose(part[:-1], whole[kept] / whole[kept].sum())
    with pytest.raises(JobError, match="it knows leet, merge"):
        policy.only(["spacing"])


def test_the_steps_of_a_chain_make_its_text_again(operators):
    text = "please claim the prize now call 08001234567"
    policy = ChainPolicy.uniform(list(operators))
    steps = policy.steps((6, 20), Random(0))
    assert [s.name for s in steps] == ["leet", "typo"]
    assert chains.apply(text, steps, operators) == chains.apply(text, steps, operators) != text
