from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from mining.probe.stats import holm, mcnemar, wilson

counts = st.integers(0, 80)


@given(counts, counts)
def test_mcnemar_is_the_exact_binomial_test(fixed, broken):
    expected = binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1.0
    assert mcnemar(fixed, broken) == pytest.approx(expected, rel=1e-9)


@given(counts, counts)
def test_wilson_agrees_with_scipy(passed, failed):
    n = passed + failed
    if n:
        interval = binomtest(passed, n).proportion_ci(method="wilson")
        assert wilson(passed, n) == pytest.approx((passed / n, interval.low, interval.high, n), abs=2e-6)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
