"""The estimates are unbiased and their intervals cover, over many seeds; each design is drawn and estimated for real."""

from __future__ import annotations

import numpy as np
import pytest

from mining.selection import audit
from mining.selection.audit import Wave
from mining.selection.base import Pool
from mining.selection.select import select
from sparring.embed import unit
from sparring.errors import DataError

SEEDS = 400


def pool(n: int, prevalence: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(n,) positive, and a score that knows something of it."""
    rng = np.random.default_rng(seed)
    positive = np.zeros(n, bool)
    positive[rng.permutation(n)[: round(prevalence * n)]] = True
    return positive, np.clip(0.25 + 0.4 * positive + 0.15 * rng.standard_normal(n), 0, 1)


def covered(estimates: list[audit.Estimate], truth: float) -> tuple[float, float]:
    """Bias in standard errors of the simulation, and how often the interval holds the truth."""
    value = np.array([e.value for e in estimates])
    return (value.mean() - truth) / (value.std() / len(value) ** 0.5 + 1e-12), np.mean(
        [e.low <= truth <= e.high for e in estimates]
    )


@pytest.mark.parametrize("stratified", [False, True])
def test_one_draw_is_unbiased_and_covers(stratified):
    """Wilson's interval covers 95% on average; in one place it may dip to 92%, since counts are whole numbers."""
    coverages = []
    for prevalence in (0.0, 0.02, 0.1, 0.3):
        positive, score = pool(500, prevalence)
        strata = np.digitize(score, [0.3, 0.5]) if stratified else None
        for count in (10, 100):
            found = []
            for seed in range(SEEDS):
                drawn = audit.draw(np.ones(500, bool), count, seed=seed, strata=strata)
                assert len(drawn.rows) == len(set(drawn.rows)) == count
                found.append(audit.estimate([Wave(drawn, positive[drawn.rows])]))
            bias, coverage = covered(found, prevalence)
            assert abs(bias) < 4
            assert coverage >= 0.9
            coverages.append(coverage)
    assert np.mean(coverages) >= 0.95


def test_a_draw_of_everything_leaves_nothing_uncertain():
    positive, _ = pool(50, 0.3)
    drawn = audit.draw(np.ones(50, bool), 99, seed=0)
    assert audit.estimate([Wave(drawn, positive[drawn.rows])]) == audit.Estimate(0.3, 0.3, 0.3, 50)
    assert (drawn.probability == 1).all()


def test_waves_between_which_a_selector_took_the_best_rows_are_unbiased_and_cover():
    """Five rounds that empty the pool of positives: the audit rows alone, pooled, would say far too little."""
    positive, score = pool(2000, 0.05)
    vectors, truth = unit(np.random.default_rng(1).standard_normal((2000, 8))), positive.mean()
    p = np.stack([1 - score, score], 1)
    found, naive = [], []
    for seed in range(150):
        chosen, waves = np.zeros(0, np.int64), []
        for wave in range(5):
            got = select(Pool(vectors, p, chosen, rare=1), 40, audit=0.25, near=1, seed=5 * seed + wave)
            waves.append(Wave(got.draw, positive[got.draw.rows], len(chosen), int(positive[chosen].sum())))
            chosen = np.concatenate([chosen, got.rows])
        found.append(audit.estimate(waves))
        naive.append(np.mean(np.concatenate([w.positive for w in waves])))
    bias, coverage = covered(found, truth)
    assert abs(bias) < 4
    assert coverage >= 0.9
    assert np.mean(naive) < 0.8 * truth


@pytest.mark.parametrize("prevalence", [0.05, 0.3])
def test_unequal_probabilities_are_undone(prevalence):
    positive, score = pool(4000, prevalence)
    chance = np.clip(0.03 + 0.15 * score, 0, 1)
    found, naive = [], []
    for seed in range(SEEDS):
        rows = np.flatnonzero(np.random.default_rng(seed).random(4000) < chance)
        found.append(audit.weighted(positive[rows], chance[rows]))
        naive.append(positive[rows].mean())
    _, coverage = covered(found, prevalence)
    assert np.mean([e.value for e in found]) == pytest.approx(prevalence, rel=0.02)  # a ratio: its bias is of order 1 / n
    assert coverage >= 0.93
    assert np.mean(naive) > 1.2 * prevalence


def test_label_error_is_the_share_of_reviewed_labels_that_are_not_the_given_ones():
    given = np.arange(400) % 2
    true = given.copy()
    true[:40] = 1 - true[:40]
    drawn = audit.draw(np.ones(400, bool), 100, seed=0)
    found = audit.estimate([Wave(drawn, true[drawn.rows] != given[drawn.rows])])
    assert found.low <= 0.1 <= found.high
    assert found.high - found.low < 0.12
    assert found.n == 100


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda d: audit.estimate([]), "an audit row at least, got none"),
        (lambda d: audit.estimate([Wave(d, np.zeros(2))]), "each of 5 audit rows, got 2"),
        (lambda d: audit.weighted(np.zeros(0), np.zeros(0)), "got 0 rows and 0"),
        (lambda d: audit.weighted(np.zeros(1), np.zeros(1)), "above 0 and at most 1"),
    ],
)
def test_what_no_estimate_can_be_made_of_is_refused(call, match):
    with pytest.raises(DataError, match=match):
        call(audit.draw(np.ones(9, bool), 5, seed=0))
