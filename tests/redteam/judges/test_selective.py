"""The promise of a calibrated threshold, by simulation where the true precision is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from redteam.judges import selective

TARGET, DELTA = 0.85, 0.1


def true_precision(value: float) -> float:
    """Of scores uniform on [0, 1] that are right with the probability `score ** 0.5`, above `value`."""
    low = max(value, 0.0)
    return (2 / 3) * (1 - low**1.5) / (1 - low) if low < 1 else 1.0


@pytest.mark.parametrize("n", [60, 400])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("floor", [-math.inf, 0.5])
def test_the_precision_is_kept_as_often_as_promised(n, ties, floor):
    rng, broken, spoke, runs = np.random.default_rng(n + ties), 0, 0, 600
    for _ in range(runs):
        scores = rng.random(n)
        right = rng.random(n) < scores**0.5
        if ties:
            scores = np.floor(scores * 20) / 20
        found = selective.threshold(scores, right, precision=TARGET, delta=DELTA, floor=floor)
        assert found.value >= floor
        spoke += found.value < math.inf
        cut = found.value + 0.05 if ties and found.value > -1 else found.value  # rows above a rounded score are a step above
        broken += found.value < math.inf and true_precision(cut) < TARGET
    assert broken / runs <= DELTA
    assert spoke / runs > (0.6 if n == 400 else 0), "a threshold that never speaks keeps every promise"


def test_a_useless_score_abstains_on_everything():
    rng = np.random.default_rng(0)
    found = [
        selective.threshold(rng.random(300), rng.random(300) < 0.5, precision=TARGET, delta=DELTA).value for _ in range(200)
    ]
    assert np.mean(np.isinf(found)) >= 1 - DELTA
    assert selective.threshold(np.zeros(300), rng.random(300) < 0.5, precision=TARGET, delta=DELTA).value == math.inf


def test_too_few_rows_abstain_and_enough_that_are_all_right_do_not():
    fewest = math.ceil(math.log(0.05 / selective.RANKS) / math.log(0.9))
    for n, speaks in ((fewest - 1, False), (fewest, True)):
        found = selective.threshold(np.arange(n), np.ones(n, bool), precision=0.9, delta=0.05)
        assert (found.value < math.inf) == speaks
    assert selective.threshold(np.zeros(0), np.zeros(0, bool), precision=0.9, delta=0.05).value == math.inf


def test_the_widest_that_keeps_the_promise_is_taken_and_counted():
    scores = np.arange(1000) / 1000
    found = selective.threshold(scores, scores > 0.3, precision=0.9, delta=0.05)
    assert found.accepted == (scores > found.value).sum()
    assert found.rows == 1000
    assert found.low >= 0.9
    assert 400 <= found.accepted <= 770


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.001, 0.5))
def test_the_bound_is_clopper_pearsons(right, wrong, delta):
    n = right + wrong
    low = selective.lower_bound(right, n, delta) if n else 0.0
    assert low <= (right / n if n else 0)
    if right:
        assert binom.sf(right - 1, n, low) == pytest.approx(delta, rel=1e-6), "so many right are this unlikely at the bound"


def test_one_row_of_each_group():
    groups = ["a", "b", "a", "c", "b", "a"]
    chosen = selective.one_of_each(groups, 6)
    assert sorted(groups[i] for i in chosen) == ["a", "b", "c"]
    assert chosen == sorted(chosen) == selective.one_of_each(groups, 6)
    assert selective.one_of_each((), 3) == [0, 1, 2]
    with pytest.raises(ValueError, match="a group for each of 2 rows, got 1"):
        selective.one_of_each(["a"], 2)
