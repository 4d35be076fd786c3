"""What is predicted from canaries against what a review finds among errors that the test knows of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from mining.labels.canaries import NOISES, deal, out_of_fold, plant
from mining.labels.worth import Worth, estimated, worth
from sparring.embed import unit
from sparring.errors import DataError

TOLERANCE = 0.1  # of the errors that there are, on average over a curve; 0.2 at any one depth


def predicted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    model, folds = LogisticRegression(max_iter=300), StratifiedKFold(5, shuffle=True, random_state=99)
    return cross_val_predict(model, x, y, method="predict_proba", cv=folds)


def scorer(x: np.ndarray):
    return lambda labels: 1 - predicted(x, labels)[np.arange(len(labels)), labels]


def wrong(x: np.ndarray, y: np.ndarray, kind: str) -> np.ndarray:
    """A tenth of the labels wrong, anywhere or (towards the runner-up) at the boundary; or a fifth of the violations missed."""
    rng, noisy, n = np.random.default_rng(7), y.copy(), len(y)
    if kind == "missed":
        noisy[rng.choice(np.flatnonzero(y == 1), int(0.2 * (y == 1).sum()), replace=False)] = 0
    elif kind == "symmetric":
        rows = rng.choice(n, n // 10, replace=False)
        noisy[rows] = (y[rows] + rng.integers(1, y.max() + 1, len(rows))) % (y.max() + 1)
    else:
        p = predicted(x, y)
        p[np.arange(n), y] = -1
        weight = np.exp(4 * p.max(1))
        rows = rng.choice(n, n // 10, replace=False, p=weight / weight.sum())
        noisy[rows] = p.argmax(1)[rows]
    return noisy


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return unit(x - x.mean(0)), y.astype(np.int64)


@pytest.fixture(scope="module")
def posts():
    """A fifth of 1,500 rows violate; the two overlap somewhat."""
    rng = np.random.default_rng(0)
    y = (np.arange(1500) % 5 == 0).astype(np.int64)
    return unit(0.9 * np.eye(2, 24)[y] + 0.35 * rng.standard_normal((1500, 24))), y


def apart(found: Worth, noise: str, x: np.ndarray, noisy: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(depths,) predicted minus true errors found, in shares of all errors, queues added up at equal shares of their depth."""
    score, curves = scorer(x)(noisy), [c for c in found.curves if c.noise == noise]
    difference = np.zeros(13)
    for curve in curves:
        rows = np.flatnonzero(noisy == curve.queue)
        rows = rows[np.argsort(-score[rows], kind="stable")]
        truth = [(noisy[rows[:depth]] != true[rows[:depth]]).sum() for depth in curve.reviewed]
        at = np.linspace(0, 1, 13) * curve.reviewed[-1]
        difference += np.interp(at, [0, *curve.reviewed], [0, *(curve.found - truth)])
    return difference / (noisy != true).sum()


def errors(noisy: np.ndarray, true: np.ndarray) -> dict[int, float]:
    return {int(q): float(((noisy == q) & (noisy != true)).sum()) for q in np.unique(noisy)}


@pytest.mark.parametrize(
    ("data", "kind"), [("digits", "symmetric"), ("digits", "boundary"), ("posts", "symmetric"), ("posts", "missed")]
)
def test_where_the_noise_is_of_the_kind_planted_the_curve_comes_true(data, kind, request):
    x, y = request.getfixturevalue(data)
    noisy = wrong(x, y, kind)
    found = worth(noisy, x, scorer(x), errors=errors(noisy, y), noises=[kind])
    off = apart(found, kind, x, noisy, y)
    assert np.abs(off).mean() <= TOLERANCE
    assert np.abs(off).max() <= 2 * TOLERANCE


def test_many_errors_at_the_boundary_teach_the_scorer_and_no_more_is_promised(posts):
    x, y = posts
    noisy = wrong(x, y, "boundary")
    found = worth(noisy, x, scorer(x), errors=errors(noisy, y), noises=["boundary"], plantings=2)
    assert apart(found, "boundary", x, noisy, y).max() <= TOLERANCE, "few canaries alone promise more than that"


def test_canaries_planted_anywhere_are_easier_than_errors_at_the_boundary_and_the_cautious_curve_says_so(digits):
    x, y = digits
    noisy = wrong(x, y, "boundary")
    found = worth(noisy, x, scorer(x), errors=errors(noisy, y), noises=["symmetric", "boundary"], plantings=2)
    easy, matched = (apart(found, noise, x, noisy, y) for noise in ("symmetric", "boundary"))
    assert easy.max() >= 0.1, "they promise a tenth of all errors too much"
    assert np.abs(matched).max() < easy.max()
    lowest = [found.cautious(queue) for queue in range(1, 10)]
    assert [c.noise for c in lowest].count("boundary") >= 6
    assert all(c.found.sum() <= d.found.sum() for c in lowest for d in found.curves if d.queue == c.queue)


def test_f1_rises_with_the_review_as_far_as_it_does_in_truth(posts):
    x, y = posts
    noisy = wrong(x, y, "symmetric")
    (gain,) = worth(noisy, x, scorer(x), errors=errors(noisy, y), noises=["symmetric"], plantings=5).gains
    held_out = np.arange(1500) % 3 == 0

    def f1(labels: np.ndarray) -> float:
        from sklearn.metrics import f1_score

        model = LogisticRegression(C=10, class_weight="balanced", max_iter=1000).fit(x[~held_out], labels[~held_out])
        return float(f1_score(y[held_out], model.predict(x[held_out])))

    assert gain.reviewed[0] == 0
    assert gain.f1[-1] - gain.f1[0] == pytest.approx(f1(y) - f1(noisy), abs=0.05)
    assert gain.f1[-1] - gain.f1[0] > 0.05


def test_errors_are_counted_where_nobody_gives_them(digits, posts):
    for (x, y), kind in ((digits, "symmetric"), (posts, "missed")):
        noisy = wrong(x, y, kind)
        counted = estimated(noisy, out_of_fold(x, noisy, None, seed=0))
        assert sum(counted.values()) == pytest.approx((noisy != y).sum(), rel=0.35)
        found = worth(noisy, x, scorer(x), noises=[], plantings=1)
        assert found.errors == counted


def test_the_same_seed_gives_the_same_curves_and_bounds_enclose_them(posts):
    x, y = posts
    noisy = wrong(x, y, "missed")
    one, again = (worth(noisy, x, scorer(x), plantings=1, reviewed=(10, 50, 200), seed=3) for _ in range(2))
    assert [c.found.tolist() for c in one.curves] == [c.found.tolist() for c in again.curves]
    assert [g.f1.tolist() for g in one.gains] == [g.f1.tolist() for g in again.gains]
    assert {(c.noise, c.queue) for c in one.curves} == {
        ("missed", 0),
        *((n, q) for n in ("symmetric", "boundary") for q in (0, 1)),
    }
    for curve in one.curves:
        assert curve.reviewed.tolist() == [10, 50, 200]
        assert (curve.low <= curve.found).all()
        assert (curve.found <= curve.high).all()
        assert (curve.high <= curve.reviewed).all(), "no more errors than rows"
        assert (np.diff(curve.found) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(2, 4), st.sampled_from(NOISES), st.integers(0, 99), st.integers(0, 9))
def test_planting_flips_what_it_says_and_nothing_else(n, k, noise, seed, count):
    rng = np.random.default_rng(seed)
    labels, p, allowed = rng.integers(0, k, n), rng.dirichlet(np.ones(k), n), rng.random(n) < 0.7
    wanted = {q: count for q in range(k)}
    out, rows = plant(labels, wanted, noise, p, rng=np.random.default_rng(seed), allowed=allowed)
    assert (np.flatnonzero(out != labels) == rows).all()
    assert allowed[rows].all()
    assert (np.bincount(out[rows], minlength=k) <= count).all()
    if noise == "missed":
        assert (out[rows] == 0).all()
    again, _ = plant(labels, wanted, noise, p, rng=np.random.default_rng(seed), allowed=allowed)
    assert (again == out).all()


def test_folds_keep_groups_together_and_labels_spread():
    groups, labels = np.arange(100) // 2, (np.arange(100) // 2) % 2
    fold = deal(labels, groups, seed=0)
    assert (fold[::2] == fold[1::2]).all()
    assert (np.bincount(fold[labels == 0]) == 10).all()


def test_a_group_or_a_label_that_stands_alone_is_left_as_given():
    x = np.eye(4, dtype=np.float32)
    assert (out_of_fold(x, np.array([0, 1, 0, 1]), np.zeros(4), seed=0).argmax(1) == [0, 1, 0, 1]).all()
    assert out_of_fold(x, np.array([0, 0, 0, 1]), None, seed=0).shape == (4, 2)
    assert out_of_fold(x[:0], np.zeros(0, int), None, seed=0).shape == (0, 1)


@pytest.mark.parametrize(
    ("labels", "settings", "match"),
    [
        ([0, 1], {}, "for each of 4 vectors"),
        ([0.0, 1.0, 0.0, 1.0], {}, "got float64"),
        ([0, 0, 0, 0], {}, "two labels or more, got 4 rows of 1"),
        ([0, 1, -1, 1], {}, "0 or above"),
        ([0, 1, 0, 1], {"noises": ["pink"]}, "symmetric, boundary, missed, got 'pink'"),
        ([0, 1, 0, 1], {"scorer": lambda y: np.full(len(y), np.nan)}, "4 finite numbers"),
        ([0, 1, 0, 1], {"scorer": lambda y: y[:2]}, "4 finite numbers"),
        ([0, 1, 0, 1], {"vectors": np.full((4, 2), np.nan)}, "finite numbers, got NaN"),
    ],
)
def test_bad_input_is_refused_with_what_was_expected(labels, settings, match):
    given = {"vectors": np.eye(4, dtype=np.float32), "scorer": lambda y: np.zeros(len(y)), **settings}
    with pytest.raises(DataError, match=match):
        worth(np.array(labels), given.pop("vectors"), given.pop("scorer"), **given)
