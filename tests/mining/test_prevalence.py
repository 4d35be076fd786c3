from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.prevalence import bbse, precise, saerens, shifted
from sparring.errors import DataError


def made(n: int, prevalence: float, rng: np.random.Generator, *, harder: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores calibrated at a prevalence of a half: log-odds of a unit normal, shifted by 1.5 up or down."""
    y = rng.random(n) < prevalence
    z = np.where(y, 1.0 - harder, -1.0) * 1.5 + rng.standard_normal(n)
    return 1 / (1 + np.exp(-3 * z)), y


@pytest.mark.parametrize("prevalence", [0.02, 0.1, 0.6])
def test_under_label_shift_estimates_are_right_and_intervals_hold_them(prevalence):
    rng, found = np.random.default_rng(0), []
    held = {"bbse": 0, "em": 0, "precision": 0}
    for seed in range(12):
        a, y = made(600, 0.5, rng)
        b, truth = made(1500, prevalence, rng)
        got = shifted(a, y, b, 0.8, seed=seed)
        found.append((got.counted, got.bbse.value, got.em.value))
        true = {"bbse": prevalence, "em": prevalence, "precision": truth[b > 0.8].mean()}
        for name in held:
            held[name] += getattr(got, name).low - 0.005 <= true[name] <= getattr(got, name).high + 0.005
    counted, adjusted, em = np.mean(found, 0)
    assert adjusted == pytest.approx(prevalence, abs=0.02)
    assert em == pytest.approx(prevalence, abs=0.02)
    assert abs(adjusted - prevalence) < abs(counted - prevalence) + 0.005
    assert min(held.values()) >= 10, held


def test_where_violations_have_become_harder_the_two_no_longer_agree_with_the_truth():
    """Not label shift: the docstring says that only audit labels can be trusted then, and this is why."""
    rng = np.random.default_rng(0)
    a, y = made(4000, 0.5, rng)
    b, truth = made(8000, 0.2, rng, harder=0.8)
    got = shifted(a, y, b, 0.5)
    assert truth.mean() == pytest.approx(0.2, abs=0.01)
    assert got.bbse.high < 0.19
    assert got.em.high < 0.19


@given(st.just(0.0) | st.floats(1e-9, 1), st.floats(0.5, 1), st.floats(0, 0.4))
def test_counting_with_errors_is_undone_exactly(share, recall, fpr):
    assert bbse(share * recall + (1 - share) * fpr, recall, fpr) == pytest.approx(share, abs=1e-9)
    if share:
        assert precise(share, recall, fpr) == pytest.approx(share * recall / (share * recall + (1 - share) * fpr))


def test_em_stays_where_nothing_has_shifted_and_reaches_the_ends():
    a, _ = made(5000, 0.5, np.random.default_rng(1))
    assert saerens(a, 0.5) == pytest.approx(a.mean(), abs=0.02)
    assert saerens(np.zeros(10), 0.5) == 0
    assert saerens(np.ones(10), 0.5) == 1


def test_the_same_seed_gives_the_same_intervals():
    rng = np.random.default_rng(0)
    (a, y), (b, _) = made(100, 0.5, rng), made(100, 0.1, rng)
    assert shifted(a, y, b, 0.5, seed=3) == shifted(a, y, b, 0.5, seed=3)


GOOD, KINDS = np.array([0.1, 0.9, 0.2, 0.8]), np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("labelled", "kinds", "pool", "match"),
    [
        (GOOD, KINDS, np.zeros(0), "rows in the pool, got none"),
        (GOOD, KINDS, np.array([0.5, np.nan]), "finite unlabelled scores, got NaN or infinity in 1 of 2"),
        (GOOD, KINDS, np.array([[0.5]]), r"shape \(n,\), got \(1, 1\)"),
        (GOOD * 3, KINDS, GOOD, r"labelled scores in \[0, 1\], got 0.3 to 2.7"),
        (GOOD, KINDS[:2], GOOD, "each of 4 labelled rows"),
        (GOOD, np.ones(4), GOOD, "both kinds, got 4 violating of 4"),
        (GOOD, 1 - KINDS, GOOD, "flags 0.0% of the violating labelled rows and 100.0% of the benign"),
    ],
)
def test_what_no_estimate_can_be_made_of_is_refused(labelled, kinds, pool, match):
    with pytest.raises(DataError, match=match):
        shifted(labelled, kinds, pool, 0.5)
