from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from sparring import metrics
from sparring.retrain import Side, gate


@given(st.lists(st.floats(0, 1), min_size=5, max_size=200), st.floats(0, 0.5))
def test_the_operating_point_keeps_the_false_positive_rate_and_no_lower_threshold_of_a_row_does(scores, max_fpr):
    scores = np.array(scores)
    point = metrics.operating_point(scores, np.zeros(len(scores), bool), max_fpr)
    assert (scores > point).mean() <= max_fpr
    lower = scores[scores < point]
    if len(lower):
        assert (scores > lower.max()).mean() > max_fpr


@given(st.integers(2, 300), st.integers(0, 10**6))
def test_clean_figures_are_scikit_learns_and_lie_in_their_interval(n, seed):
    rng = np.random.default_rng(seed)
    y, scores = rng.random(n) < 0.4, rng.random(n)
    y[:2] = True, False
    found = metrics.clean(scores, y, 0.5)
    decided = scores > 0.5
    for name, reference in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
        assert found[name][0] == pytest.approx(reference(y, decided, zero_division=0), abs=1e-6)
    for value, low, high, count in found.values():
        assert 0 <= low <= high <= 1
        assert count == n
        assert low - 0.05 <= value <= high + 0.05


def test_a_rates_interval_covers_what_it_should():
    rng = np.random.default_rng(0)
    inside = 0
    for trial in range(200):
        _, low, high, _ = metrics.rate(rng.random(150) < 0.3, seed=trial)
        inside += low <= 0.3 <= high
    assert inside >= 180  # 95% nominal; the percentile bootstrap of a share covers a little less


def test_nothing_measured_is_none_and_not_zero():
    assert metrics.rate([]) is None
    assert metrics.mean(np.zeros(0)) is None


def test_the_paired_bootstrap_sees_a_loss_and_no_loss():
    rng = np.random.default_rng(0)
    y = rng.random(2000) < 0.3
    before = y ^ (rng.random(2000) < 0.02)
    assert metrics.paired_f1_low(before, before, y) == 0
    worse = before & (rng.random(2000) < 0.9)
    assert metrics.paired_f1_low(before, worse, y) < -0.02


@pytest.mark.parametrize(
    ("champion", "challenger", "promoted", "said"),
    [
        (Side(0.95, 0.004, 0.6), Side(0.95, 0.004, 0.3), True, "0.600 to 0.300"),
        (Side(0.95, 0.004, 0.6), Side(0.93, 0.004, 0.1), False, "a loss of more than 0.01"),
        (Side(0.95, 0.004, 0.6), Side(0.99, 0.004, 0.6), False, "no gain"),
        (Side(0.94, 0.004, 0.6), Side(0.935, 0.004, 0.1), False, "0.950 at first"),  # small losses don't add up
    ],
)
def test_the_gate_lets_pass_what_is_as_clean_and_harder_to_fool(champion, challenger, promoted, said):
    verdict = gate(Side(0.95, 0.004, 0.9), champion, challenger, max_f1_loss=0.01)
    assert verdict.promoted is promoted
    assert said in verdict.reason


def test_held_out_f1_decides_a_row_by_a_threshold_that_others_set():
    y = np.arange(110) >= 100
    scores = np.where(y, 0.9, np.linspace(0, 0.5, 110))
    scores[7] = 0.8  # the benign row that sets the threshold, and is decided right by it
    groups = [f"g{i}" for i in range(110)]
    at = metrics.operating_point(scores, y, 0.0)
    assert at == 0.8
    assert metrics.clean(scores, y, at)["f1"][0] == 1.0
    held = metrics.held_f1(scores, y, groups, 0.0, at)
    assert held == pytest.approx((20 / 21, 20 / 21 - 18 / 20)), "by the others' threshold row 7 is called violating"
    own = pytest.approx((1.0, 1 - 18 / 19))
    assert metrics.held_f1(scores, y, groups, None, at) == own, "a target's own threshold was set by none of them"
    assert metrics.held_f1(scores, y, ["one"] * 110, 0.0, at) == own, "one group: no other rows could set a threshold"


def test_a_single_row_of_few_passes_the_gate():
    first = Side(0.947, 0.0137, 0.6)
    assert gate(first, first, Side(0.934, 0.0137, 0.3), max_f1_loss=0.01).promoted
    assert not gate(first, first, Side(0.92, 0.0137, 0.3), max_f1_loss=0.01).promoted


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=60))
def test_kappa_is_scikit_learns(pairs):
    from sklearn.metrics import cohen_kappa_score

    one, other = zip(*pairs, strict=True)
    found = metrics.kappa(one, other)
    if len({*one, *other}) == 1:
        assert found is None
    else:
        assert found == pytest.approx(cohen_kappa_score(one, other), abs=1e-6)
        figures = metrics.agreement(one, other)
        assert figures["raw"][0] == pytest.approx(np.mean([a == b for a, b in pairs]), abs=1e-6)
        assert figures["raw"][1] <= figures["raw"][0] <= figures["raw"][2]


def test_rows_of_one_lineage_widen_the_interval_of_agreement():
    rng = np.random.default_rng(0)
    one = np.repeat(rng.integers(0, 2, 40), 10)
    other = np.where(np.repeat(rng.random(40) < 0.8, 10), one, 1 - one)  # agreement is a matter of the group
    alone, grouped = (metrics.agreement(one, other, groups=g) for g in (None, np.repeat(np.arange(40), 10)))
    for name in ("raw", "kappa"):
        assert alone[name][0] == grouped[name][0]
        assert grouped[name][2] - grouped[name][1] > 2 * (alone[name][2] - alone[name][1])
    assert metrics.agreement([], []) == {"raw": None, "kappa": None}
    assert metrics.kappa([], []) is None
    assert metrics.agreement(["a"] * 3, ["a"] * 3) == {"raw": [1.0, 1.0, 1.0, 3], "kappa": None}
    with pytest.raises(ValueError, match="a group for each row"):
        metrics.agreement([1], [1], groups=[1, 2])
