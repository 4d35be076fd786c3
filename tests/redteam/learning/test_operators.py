from __future__ import annotations

import pytest

from redteam.learning.operators import FEWEST, WEIGHTS, train
from sparring.errors import JobError


@pytest.fixture
def play(target, judge, prey, operators):
    def go(budget: int, seed: int = 0, **weights: float):
        rows = [s.text for s in prey]
        return train(target, judge, prey, operators, rows, budget=budget, seed=seed, weights=WEIGHTS | weights)

    return go


def test_without_a_novelty_reward_it_collapses_onto_one_operator_and_with_it_does_not(play):
    with_it, without = play(8000), play(8000, novelty=0.0)
    assert without.effective_operators < 2
    assert with_it.effective_operators >= 3
    assert min(with_it.success, without.success) > 0.8


def test_it_learns_what_works(play, target):
    target.threshold = 0.08
    untrained = play(FEWEST)
    assert untrained.generations <= 2
    assert play(4000).success > untrained.success + 0.2


def test_every_score_is_counted_and_the_budget_kept(play, target):
    found = play(1000)
    assert found.policy.queries == len(target.asked) <= 1000
    assert found.generations >= 5


def test_it_ends_when_every_text_was_scored_before(target, judge, prey, operators):
    found = train(target, judge, prey[:2], {"merge": operators["merge"]}, [], budget=600)
    assert 0 < found.generations <= 600 // 64
    assert found.policy.queries < 600


def test_the_same_seed_trains_the_same_policy(play):
    assert repr(play(600).policy) == repr(play(600).policy)
    assert repr(play(600).policy) != repr(play(600, seed=1).policy)


def test_what_a_normaliser_undoes_is_not_learned(play, operators):
    assert set(play(600).policy.operators) == set(operators) - {"homoglyph", "zero_width"}


def test_too_few_queries_and_a_target_that_catches_nothing_are_said(play, target):
    with pytest.raises(JobError, match=f"{FEWEST} queries; got .* and 100"):
        play(100)
    target.threshold = 0.9999
    with pytest.raises(JobError, match="found none out of 37"):
        play(600)
