from __future__ import annotations

import numpy as np
import pytest

from mining.pool import Labelled, examine, near_misses
from mining.selection import audit
from sparring.embed import unit
from sparring.errors import DataError


def made(n: int, prevalence: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors, (n, 2) scores, labels: violations lie along the first axis."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < prevalence).astype(int)
    x = unit(np.eye(2, 16)[y] + 0.4 * rng.standard_normal((n, 16)))
    score = 1 / (1 + np.exp(-6 * (x[:, 1] - x[:, 0])))
    return x, np.stack([1 - score, score], 1).astype(np.float32), y


OLD, OLD_SCORES, OLD_LABELS = made(500, 0.5, 0)
LABELLED = Labelled(OLD, OLD_SCORES, OLD_LABELS)


def test_a_pool_with_a_new_topic_and_failed_rows_is_told_apart():
    x, scores, y = made(600, 0.1, 1)
    x[100:160] = unit(np.eye(16)[9] + 0.1 * np.random.default_rng(2).standard_normal((60, 16)))
    scores[:7] = np.nan
    found = examine(x, scores, 0.8, 40, labelled=LABELLED, rare=1)
    assert found.unscored.tolist() == list(range(7))
    for rows in (found.near_misses, found.next.rows, *(c.rows for c in found.drift.clusters)):
        assert not np.isin(rows, range(7)).any()
    missed = scores[found.near_misses, 1]
    assert missed.max() <= 0.8
    assert (np.diff(missed) <= 0).all()
    assert len(missed) == 100
    top = found.drift.clusters[0]
    assert np.isin(top.rows, np.arange(100, 160)).mean() > 0.9
    assert found.drift.vectors is not None
    assert found.drift.vectors.p < 1e-3
    assert np.isin(found.next.rows, np.arange(100, 160)).sum() >= 4, "a part of the budget goes to what is new"
    assert (found.drift.cluster[:7] == -1).all()
    assert len(found.next.rows) == 40
    assert found.next.audit.sum() == 4
    assert set(found.next.draw.rows) == set(found.next.rows[found.next.audit])
    assert found.prevalence is not None
    assert found.notes == ()
    whole = audit.estimate([audit.Wave(found.next.draw, y[found.next.draw.rows] == 1)])
    assert whole.low <= y.mean() <= whole.high


def test_prevalence_is_estimated_and_precision_falls_with_it():
    x, scores, y = made(1500, 0.05, 3)
    found = examine(x, scores, 0.7, 0, labelled=LABELLED).prevalence
    assert found is not None
    assert found.bbse.low <= y.mean() + 0.01
    assert found.bbse.high >= y.mean() - 0.01
    flagged = scores[:, 1] > 0.7
    assert found.precision.value == pytest.approx(y[flagged].mean(), abs=0.12)
    assert (OLD_LABELS[OLD_SCORES[:, 1] > 0.7]).mean() > found.precision.value + 0.1, "among the labelled rows it was higher"


def test_near_misses_are_what_was_let_through_the_nearest_first():
    assert near_misses(np.array([0.9, 0.5, 0.2, 0.49, 0.5]), 0.5, 3).tolist() == [1, 4, 3]
    assert near_misses(np.array([0.9]), 0.5).tolist() == []


def test_one_row_is_examined_and_what_cannot_be_said_is_noted():
    x, scores, _ = made(1, 1.0, 4)
    found = examine(x, scores, 0.5, 5, labelled=LABELLED)
    assert found.next.rows.tolist() == [0]
    assert found.drift.vectors is None
    assert found.notes == ("drift needs 20 rows on each side, got 500 and 1",)


def test_labelled_rows_of_one_kind_leave_prevalence_out_and_say_why():
    x, scores, _ = made(50, 0.5, 4)
    benign = OLD_LABELS == 0
    found = examine(x, scores, 0.5, 5, labelled=Labelled(OLD[benign], OLD_SCORES[benign], OLD_LABELS[benign]))
    assert found.prevalence is None
    assert "both kinds, got 0 violating" in found.notes[0]


@pytest.mark.parametrize(
    ("vectors", "scores", "match"),
    [
        (OLD[:0], OLD_SCORES[:0], "rows in the pool, got none"),
        (OLD, OLD_SCORES[:3], r"shape \(500, labels\), got \(3, 2\)"),
        (OLD, OLD_SCORES[:, 0], "got \\(500,\\)"),
        (OLD, np.full_like(OLD_SCORES, np.nan), "got none for 500 of 500 rows"),
        (OLD, np.where(np.arange(500)[:, None] * [1, 0] == 3, np.nan, OLD_SCORES), "NaN or infinity in 1 of 500"),
        (OLD, OLD_SCORES * 2, r"in \[0, 1\]"),
        (OLD[:, :5], OLD_SCORES, "one embedder for both"),
    ],
)
def test_bad_input_is_refused_with_what_was_expected(vectors, scores, match):
    with pytest.raises(DataError, match=match):
        examine(vectors, scores, 0.5, 5, labelled=LABELLED)
