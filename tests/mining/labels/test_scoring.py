from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score

from mining.labels import scoring
from sparring.errors import DataError


def predictions(n: int = 4000, k: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth, mask = rng.integers(0, k, n), rng.random(n) < 0.1
    y = np.where(mask, (truth + rng.integers(1, k, n)) % k, truth)
    z = 1.3 * rng.standard_normal((n, k))
    z[np.arange(n), truth] += 4
    p = np.exp(z)
    return (p / p.sum(1, keepdims=True)).astype(np.float32), y, mask


@pytest.mark.parametrize("k", [2, 6, 20])
def test_planted_flips_are_found_at_least_as_well_as_by_cleanlab(k):
    from cleanlab.filter import find_label_issues

    p, y, mask = predictions(k=k)
    found = scoring.confident(p, y)
    assert f1_score(mask, found.flagged) >= f1_score(mask, find_label_issues(y, p, n_jobs=1))
    assert average_precision_score(mask, found.score) >= 0.9
    assert (found.suggested[found.flagged] != y[found.flagged]).all()


def test_the_joint_is_cleanlabs_before_calibration():
    from cleanlab.count import compute_confident_joint

    p, y, _ = predictions()
    theirs = compute_confident_joint(y, p, calibrate=False)
    assert np.abs(scoring.confident(p, y).joint - theirs).sum() <= 0.001 * len(y)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99))
def test_shuffled_rows_get_the_same_verdicts(seed):
    p, y, _ = predictions(500)
    order = np.random.default_rng(seed).permutation(500)
    one, other = scoring.confident(p, y), scoring.confident(p[order], y[order])
    assert (one.flagged[order] == other.flagged).all()
    assert (one.score[order] == other.score).all()


def test_chunks_change_nothing(monkeypatch):
    p, y, _ = predictions(1000)
    whole = scoring.confident(p, y)
    monkeypatch.setattr(scoring, "CHUNK", 77)
    parts = scoring.confident(p, y)
    assert (whole.flagged == parts.flagged).all()
    assert (whole.joint == parts.joint).all()


def test_unlabelled_rows_are_suggested_a_label_and_never_flagged():
    p, y, _ = predictions(1000)
    y[:100] = -1
    found = scoring.confident(p, y)
    assert not found.flagged[:100].any()
    assert (found.score[:100] == 0).all()
    assert (found.suggested[:100] == p[:100].argmax(1)).all()


@pytest.mark.parametrize("n", [0, 1])
def test_no_rows_and_one_row(n):
    found = scoring.confident(np.full((n, 3), 1 / 3, np.float32), np.zeros(n, int))
    assert found.flagged.shape == (n,)
    assert not found.flagged.any()


def test_bad_predictions_are_said():
    p, y, _ = predictions(50)
    with pytest.raises(DataError, match=r"row 3 sums to 2.*normalised"):
        scoring.confident(np.where(np.arange(50)[:, None] == 3, 2 * p, p), y)
    with pytest.raises(DataError, match="row 7 sums to nan"):
        scoring.confident(np.where(np.arange(50)[:, None] == 7, np.nan, p), y)
    with pytest.raises(DataError, match=r"shape \(n, k\)"):
        scoring.confident(p[0], y)
    with pytest.raises(DataError, match="labels below 6"):
        scoring.confident(p, y + 3)
    with pytest.raises(DataError, match="label for each of 50 rows"):
        scoring.confident(p, y[:9])
