from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.labels import folds, views
from sparring.embed import unit
from sparring.errors import DataError


def blobs(n: int = 300, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return unit(np.eye(k, 16)[y] + 0.12 * rng.standard_normal((n, 16))), y


def test_every_view_tells_the_classes_apart_in_rows_that_sum_to_one():
    x, y = blobs()
    found = views.make(x, y, seed=0)
    assert found.names == views.NAMES
    assert found.probabilities.shape == (4, 300, 3)
    assert found.probabilities.dtype == np.float32
    assert found.notes == ()
    np.testing.assert_allclose(found.probabilities.sum(2), 1, atol=1e-5)
    assert (found.probabilities.argmax(2) == y).mean() >= 0.98
    np.testing.assert_allclose(found.mean, found.probabilities.mean(0), atol=1e-6)


def test_predictions_are_out_of_fold():
    """Labels drawn by lot: whoever saw a row's own label would do better than chance."""
    rng = np.random.default_rng(0)
    x, y = unit(rng.standard_normal((600, 200))), rng.integers(0, 2, 600)
    found = views.make(x, y, seed=0)
    assert ((found.probabilities.argmax(2) == y).mean(1) <= 0.58).all()


def test_rows_of_a_group_learn_nothing_from_one_another():
    """Pairs with the same vector and the same random label: only the twin could tell."""
    rng = np.random.default_rng(1)
    x, y = np.repeat(unit(rng.standard_normal((300, 400))), 2, 0), np.repeat(rng.integers(0, 2, 300), 2)
    apart = views.make(x, y, seed=0)
    together = views.make(x, y, seed=0, groups=np.repeat(np.arange(300), 2))
    assert (apart.probabilities.argmax(2) == y).mean(1)[1] >= 0.75
    assert ((together.probabilities.argmax(2) == y).mean(1) <= 0.6).all()


def test_the_same_seed_gives_the_same_views_and_another_other_folds():
    x, y = blobs()
    first, again, other = (views.make(x, y, seed=seed).probabilities for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_unlabelled_rows_are_predicted_and_teach_nothing():
    x, y = blobs()
    hidden = y.copy()
    hidden[:100] = -1
    wrong = y.copy()
    wrong[:100] = (wrong[:100] + 1) % 3
    found = views.make(x, hidden, seed=0)
    assert (found.probabilities[:, :100].argmax(2) == y[:100]).mean() >= 0.95
    trusted = views.make(x, wrong, seed=0, trust=(np.arange(300) >= 100).astype(float))
    assert (trusted.probabilities[:, :100].argmax(2) == y[:100]).mean() >= 0.95


def test_given_views_stand_beside_the_learned_ones_and_may_abstain():
    x, y = blobs()
    scores = np.full((300, 3), 1 / 3)
    extra = np.eye(3)[y]
    extra[:5] = np.nan
    found = views.make(x, y, seed=0, scores=scores, extra={"rules": extra})
    assert found.names[-2:] == ("target", "rules")
    assert np.isnan(found.probabilities[-1, :5]).all()
    assert np.isfinite(found.mean).all()
    np.testing.assert_allclose(found.mean[0], np.nanmean(found.probabilities[:, 0], axis=0), atol=1e-6)


def test_a_class_that_nobody_gave_is_known_from_the_scores():
    x, y = blobs()
    found = views.make(x, y, seed=0, scores=np.full((300, 5), 0.2))
    assert found.probabilities.shape == (5, 300, 5)
    assert (found.probabilities[:2, :, 3:] == 0).all()


def test_a_class_with_fewer_rows_than_folds_is_still_judged():
    x, y = blobs(300)
    y = y.copy()
    y[y == 2] = 1
    y[[2, 5]] = 2
    found = views.make(x, y, seed=0)
    assert np.isfinite(found.probabilities).all()


def test_a_class_in_one_group_is_abstained_on_and_said():
    x, y = blobs()
    y = y.copy()
    y[7] = 3
    found = views.make(x, y, seed=0)
    assert np.isnan(found.probabilities[:, 7]).all()
    assert np.isfinite(np.delete(found.probabilities, 7, axis=1)).all()
    assert "1 rows have a label that no other fold holds" in found.notes[0]
    assert np.allclose(found.mean[7], 1 / 4)


@pytest.mark.parametrize(("n", "classes"), [(0, 1), (1, 1), (1, 3), (40, 1)])
def test_without_two_classes_the_views_abstain(n, classes):
    x = np.zeros((n, 8), np.float32)
    found = views.make(x, np.zeros(n, int), seed=0, classes=classes)
    assert found.probabilities.shape == (4, n, classes)
    assert np.isnan(found.probabilities).all()
    assert found.mean.shape == (n, classes)
    assert bool(found.notes) == bool(n)


def test_rows_that_are_all_the_same_get_the_same_prediction():
    x, y = np.ones((60, 4), np.float32), np.arange(60) % 2
    found = views.make(x, y, seed=0)
    assert np.isfinite(found.probabilities).all()
    assert np.ptp(found.probabilities[0, :, 0]) <= 0.1


def test_a_fold_learns_from_no_more_rows_than_asked_and_says_so():
    x, y = blobs()
    found = views.make(x, y, seed=0, most=60)
    assert (found.probabilities.argmax(2) == y).mean() >= 0.95
    assert found.notes == ("a fold learns from 60 of its 240 rows",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": np.full((300, 3), 0.5)}, r"sum to 1; 300 of 300 do not, row 0 sums to 1\.5.*normalised"),
        ({"scores": np.full((299, 3), 1 / 3)}, r"shape \(300, 3\); got \(299, 3\)"),
        ({"scores": np.full((300, 2), 1 / 2)}, r"shape \(300, 3\); got \(300, 2\)"),
        ({"extra": {"mine": np.c_[np.full((300, 2), 0.5), np.full(300, np.nan)]}}, "view 'mine'.*300 rows hold some NaN"),
        ({"extra": {"lr": np.full((300, 3), 1 / 3)}}, "name other than lr"),
        ({"groups": np.arange(20)}, "a group for each of 300 rows; got 20"),
        ({"trust": np.full(300, 2.0)}, r"trust in \[0, 1\]"),
        ({"classes": 2}, "labels below 2"),
    ],
)
def test_bad_input_is_said(change, message):
    x, y = blobs()
    with pytest.raises(DataError, match=message):
        views.make(x, y, seed=0, **change)


def test_bad_vectors_and_labels_are_said():
    x, y = blobs()
    with pytest.raises(DataError, match="label for each of 300 rows"):
        views.make(x, y[:10], seed=0)
    with pytest.raises(DataError, match="numbers from 0"):
        views.make(x, y - 2, seed=0)
    with pytest.raises(DataError, match=r"shape \(n, d\)"):
        views.make(x[0], y, seed=0)
    x[3, 2] = np.nan
    with pytest.raises(DataError, match="NaN or infinity"):
        views.make(x, y, seed=0)


def test_independent_scores_are_normalised():
    np.testing.assert_allclose(views.normalised([[0.5, 0.5, 1], [0, 0, 0]]), [[0.25, 0.25, 0.5], [1 / 3] * 3], atol=1e-6)
    with pytest.raises(DataError, match="none below 0"):
        views.normalised([[-1.0, 2.0]])


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), min_size=1, max_size=80), count=st.integers(2, 6),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_a_group_stands_in_one_fold_and_a_class_of_two_groups_in_two(rows, count, seed):
    labels, groups = map(np.array, zip(*rows, strict=True))
    fold = folds.deal(labels, groups, count, seed=seed)
    assert fold.min() >= 0
    assert fold.max() < count
    for group in np.unique(groups):
        assert len(np.unique(fold[groups == group])) == 1
    assert (fold == folds.deal(labels, groups * 7 + 3, count, seed=seed)).all()


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 60), min_size=1, max_size=4), count=st.integers(2, 6))
def test_single_rows_are_spread_evenly_within_each_class(sizes, count):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    fold = folds.deal(labels, None, count, seed=0)
    for c in range(len(sizes)):
        held = np.bincount(fold[labels == c], minlength=count)
        assert held.max() - held.min() <= 1


def test_near_duplicates_join_their_groups():
    joined = folds.joined(np.array([5, 5, 6, 7, 8]), np.array([-1, 0, 0, -1, -1]))
    assert len(set(joined[:3])) == 1
    assert len(set(joined)) == 3
    assert len(set(folds.joined(None, np.array([-1, 1, 1])))) == 2
    assert folds.joined(None, np.zeros(0, int)).shape == (0,)
