from __future__ import annotations

import numpy as np
import pytest

from mining.drift import Drift, drift, score_shift, two_sample
from sparring.embed import unit
from sparring.errors import DataError


def rows(n: int, seed: int, centres: int = 4, d: int = 16) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return unit(np.eye(centres, d)[rng.integers(0, centres, n)] + 0.2 * rng.standard_normal((n, d)))


def test_between_two_samples_of_one_source_p_promises_no_more_than_it_holds():
    p = np.array([two_sample(rows(60, 2 * s), rows(60, 2 * s + 1), seed=s).p for s in range(25)])
    assert (p < 0.05).mean() <= 0.12
    assert 0.2 < (p < 0.5).mean() <= 0.65


def test_a_new_topic_is_found_with_its_rows():
    old, new = rows(400, 0), rows(400, 1)
    new[:160] = unit(np.eye(16)[9] + 0.2 * np.random.default_rng(2).standard_normal((160, 16)))
    found = drift(old, new, old_scores=np.linspace(0, 1, 400), new_scores=np.linspace(0, 1, 400) ** 2, clusters=8)
    assert found.vectors is not None
    assert found.vectors.p < 1e-3
    assert 0.5 < found.vectors.low < found.vectors.auc < found.vectors.high
    top = found.clusters[0]
    assert top.old < 0.01
    assert np.isin(top.rows, np.arange(160)).all()
    assert len(np.unique(np.concatenate([c.rows for c in found.clusters if c.old == 0]))) >= 140
    assert (found.cluster[top.rows] == top.number).all()
    assert found.scores is not None
    assert found.scores.p < 1e-6


def test_nothing_new_gives_no_cluster():
    found = drift(rows(400, 0), rows(400, 1))
    assert found.clusters == ()
    assert found.vectors is not None
    assert found.vectors.p > 0.01


def test_the_stability_index_by_hand_and_where_nothing_moved():
    old = np.arange(1000) / 1000
    still = score_shift(old, old)
    assert (still.distance, still.psi) == (0, 0)
    moved = score_shift(old, old * 0.5)  # half of the bins hold everything, 0.2 each, the others half a row of 1,005
    a, b = np.full(10, 0.1), np.r_[np.full(5, 200.5), np.full(5, 0.5)] / 1005
    assert moved.psi == pytest.approx(((b - a) * np.log(b / a)).sum(), rel=0.05)
    assert moved.distance == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("n", [0, 1, 19])
def test_too_few_rows_give_a_note_and_no_figure(n):
    found = drift(rows(50, 0), rows(max(n, 1), 1)[:n])
    assert isinstance(found, Drift)
    assert found.vectors is None
    assert found.clusters == ()
    assert found.cluster.shape == (n,)
    assert f"got 50 and {n}" in found.note


def test_rows_all_the_same_do_not_drift():
    same = np.tile(np.eye(1, 8, dtype=np.float32), (40, 1))
    found = drift(same, same)
    assert found.vectors is not None
    assert found.vectors.auc == 0.5
    assert found.clusters == ()


def test_bad_vectors_are_refused():
    with pytest.raises(DataError, match=r"one width.*one embedder for both"):
        drift(np.zeros((30, 3)), np.zeros((30, 4)))
    with pytest.raises(DataError, match="got NaN"):
        drift(np.zeros((30, 3)), np.full((30, 3), np.nan))
    with pytest.raises(DataError, match="finite scores"):
        drift(rows(30, 0), rows(30, 1), old_scores=np.zeros(30), new_scores=np.full(30, np.nan))
