from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from mining.labels import issues, views
from sparring.embed import unit
from sparring.errors import DataError


def blobs(n: int = 600, k: int = 3, spread: float = 0.2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    return unit(np.eye(k, 16)[y] + spread * rng.standard_normal((n, 16))), y


def flipped(y: np.ndarray, rows: np.ndarray, k: int = 3) -> np.ndarray:
    noisy = y.copy()
    noisy[rows] = (y[rows] + 1) % k
    return noisy


@pytest.fixture(scope="module")
def found():
    x, y = blobs()
    planted = np.arange(0, 600, 11)
    noisy = flipped(y, planted)
    return x, y, noisy, np.isin(np.arange(600), planted), issues.find(x, noisy, seed=0)


def test_planted_errors_are_flagged_ranked_and_given_their_label_back(found):
    _, y, noisy, mask, result = found
    assert f1_score(mask, result.flagged) >= 0.95
    assert average_precision_score(mask, result.score) >= 0.98
    assert (result.suggested[mask & result.flagged] == y[mask & result.flagged]).mean() >= 0.95
    assert (result.suggested[result.flagged] != noisy[result.flagged]).all()
    assert (result.flagged == (result.score > 0.5)).all()
    assert (result.votes[mask] >= 3).mean() >= 0.9


def test_the_kind_and_rate_of_noise_are_estimated():
    """Flips spread evenly, and flips of one label into another only."""
    x, y = blobs(1500, spread=0.15)
    rng = np.random.default_rng(0)
    even = np.where(rng.random(1500) < 0.15, (y + rng.integers(1, 3, 1500)) % 3, y)
    result = issues.find(x, even, seed=0)
    np.testing.assert_allclose(result.noise.rate, 0.15, atol=0.08)
    missed = np.where((y == 1) & (rng.random(1500) < 0.25), 0, y)
    result = issues.find(x, missed, seed=0)
    assert 0.18 <= result.noise.rate[1] <= 0.32
    assert result.noise.rate[[0, 2]].max() <= 0.03


def test_clean_labels_are_left_alone():
    x, y = blobs(spread=0.12)
    assert issues.find(x, y, seed=0).flagged.sum() <= 2


def test_a_queue_for_each_given_label_with_its_own_budget(found):
    _, _, noisy, _, result = found
    queues = issues.queues(result, noisy, {0: 3, 1: None, 2: 0})
    assert len(queues[0]) == 3
    assert len(queues[1]) == (result.flagged & (noisy == 1)).sum()
    assert len(queues[2]) == 0
    for label, rows in queues.items():
        assert (noisy[rows] == label).all()
        assert (np.diff(result.score[rows]) <= 0).all()
    assert {len(rows) for rows in issues.queues(result, noisy, 2).values()} == {2}


def test_reasons_name_views_strengths_and_neighbours(found):
    x, _, noisy, mask, result = found
    rows = np.flatnonzero(mask & result.flagged)[:5]
    for row, why in zip(rows, issues.reasons(result, x, noisy, rows), strict=True):
        assert (why.row, why.given) == (row, noisy[row])
        assert why.suggested == result.suggested[row]
        assert {o.view for o in why.objections} <= set(result.views.names)
        assert len(why.objections) == result.votes[row]
        strengths = [o.strength for o in why.objections]
        assert strengths == sorted(strengths, reverse=True)
        assert all(0 < s <= 1 for s in strengths)
        assert row not in why.neighbours
        assert why.neighbours == tuple(np.argsort(-(x @ x[row]))[1:6])
        np.testing.assert_allclose(why.cosines, x[list(why.neighbours)] @ x[row], atol=1e-3)
        assert why.neighbour_labels == tuple(noisy[list(why.neighbours)])
    assert issues.reasons(result, x, noisy, []) == []


def test_the_seed_fixes_every_score_and_another_order_hardly_moves_one(found):
    """The front sorts rows by id, so that the order is always the same; folds of another order are other folds."""
    x, _, noisy, _, result = found
    again = issues.find(x, noisy, seed=0)
    assert (again.score == result.score).all()
    assert (again.suggested == result.suggested).all()
    order = np.random.default_rng(3).permutation(600)
    shuffled = issues.find(x[order], noisy[order], seed=0)
    assert (shuffled.flagged == result.flagged[order]).mean() >= 0.97


def test_given_predictions_are_judged_without_vectors():
    x, y = blobs()
    planted = np.arange(0, 600, 11)
    noisy = flipped(y, planted)
    result = issues.from_views(views.make(x, noisy, seed=0), noisy, seed=0)
    assert f1_score(np.isin(np.arange(600), planted), result.flagged) >= 0.9


def test_unlabelled_rows_and_rows_of_which_nothing_is_known_are_not_flagged():
    x, y = blobs()
    y = y.copy()
    y[:50] = -1
    y[100] = 3  # a label of one row
    result = issues.find(x, y, seed=0)
    assert not result.flagged[:50].any()
    assert (result.score[:50] == 0).all()
    assert not result.flagged[100]
    assert result.suggested[100] == 3
    assert (result.suggested[:50] == blobs()[1][:50]).mean() >= 0.9


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_one_class_or_hardly_a_row_flags_nothing(n):
    result = issues.find(np.ones((n, 4), np.float32), np.zeros(n, int), seed=0)
    assert result.score.shape == result.suggested.shape == (n,)
    assert not result.flagged.any()


def test_rows_that_are_all_the_same_raise_no_issue_out_of_nothing():
    result = issues.find(np.ones((60, 4), np.float32), np.arange(60) % 2, seed=0)
    assert not result.flagged.any()


def test_labels_that_the_views_do_not_know_are_said():
    with pytest.raises(DataError, match="labels below 3"):
        issues.from_views(views.Views(("mine",), np.full((1, 4, 3), 1 / 3, np.float32)), [0, 1, 2, 3], seed=0)
