from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from mining.labels.annotators import alpha, consensus
from sparring.errors import DataError

RIGHT = (0.95, 0.9, 0.8, 0.7, 0.4)


@pytest.fixture(scope="module")
def crowd():
    """Five annotators of known skill on 400 rows of three labels, each asked about half; a model right nine times of ten."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 400)
    other = (true + rng.integers(1, 3, (5, 400))) % 3
    labels = np.where(rng.random((5, 400)) < np.array(RIGHT)[:, None], true, other).T
    labels[rng.random(labels.shape) < 0.5] = -1
    p = np.full((400, 3), 0.1)
    p[np.arange(400), np.where(rng.random(400) < 0.9, true, (true + 1) % 3)] = 0.8
    return true, labels, p


@pytest.mark.parametrize("with_model", [True, False])
def test_consensus_beats_every_annotator_and_knows_where_it_is_wrong_and_who_is_bad(crowd, with_model):
    true, labels, p = crowd
    found = consensus(labels, p if with_model else None)
    assert found.method == ("crowdlab" if with_model else "vote")
    has = found.consensus >= 0
    right = found.consensus[has] == true[has]
    plain = [np.bincount(row[row >= 0]).argmax() for row in labels[has]]
    assert right.mean() > (plain == true[has]).mean(), "an annotator's record counts"
    assert found.quality[has][right].mean() > found.quality[has][~right].mean() + 0.05
    assert found.annotator_quality.argmin() == 4
    assert found.annotator_quality[:2].min() > found.annotator_quality[3]
    said = labels >= 0
    own_right = labels == true[:, None]
    assert found.label_quality[said & own_right].mean() > found.label_quality[said & ~own_right].mean() + 0.1
    assert np.isnan(found.label_quality[~said]).all()
    assert np.nanmin(found.quality) >= 0
    assert np.nanmax(found.quality) <= 1


def test_agreement_between_two_is_cohens_kappa_on_the_rows_that_both_labelled(crowd):
    _, labels, _ = crowd
    found = consensus(labels)
    both = (labels[:, 0] >= 0) & (labels[:, 3] >= 0)
    assert found.shared[0, 3] == both.sum()
    assert (
        found.kappa[0, 3] == found.kappa[3, 0] == pytest.approx(cohen_kappa_score(labels[both, 0], labels[both, 3]), abs=1e-6)
    )
    assert found.kappa[0, 1] > found.kappa[0, 4]


def test_krippendorffs_alpha_on_his_own_example():
    """Three coders, fifteen units, some missing: 0.691 for nominal labels (Krippendorff 2011)."""
    a = [-1] * 5 + [3, 4, 1, 2, 1, 1, 3, 3, -1, 3]
    b = [1, -1, 2, 1, 3, 3, 4, 3] + [-1] * 7
    c = [-1, -1, 2, 1, 3, 4, 4, -1, 2, 1, 1, 3, 3, -1, 4]
    assert alpha(np.array([a, b, c]).T) == pytest.approx(0.691, abs=5e-4)
    assert np.isnan(alpha(np.array([[1, -1], [-1, 2]])))
    assert np.isnan(alpha(np.array([[1, 1], [1, 1]])))


def test_rows_and_annotators_without_labels_are_left_without_and_change_nothing_else(crowd):
    _, labels, p = crowd
    base = consensus(labels, p)
    wide = np.c_[labels, np.full(400, -1)]
    wide = np.r_[wide, np.full((2, 6), -1)]
    found = consensus(wide, np.r_[p, np.full((2, 3), 1 / 3)])
    assert (found.consensus[-2:] == -1).all()
    assert np.isnan(found.quality[-2:]).all()
    assert np.isnan(found.annotator_quality[-1])
    assert (found.consensus[:400] == base.consensus).all()
    assert np.allclose(found.annotator_quality[:5], base.annotator_quality)


@pytest.mark.parametrize("labels", [[[1], [0]], [[1, -1], [-1, 0]]])
def test_where_no_row_has_two_labels_the_only_one_is_the_consensus_and_the_method_says_so(labels):
    found = consensus(np.array(labels), np.full((2, 2), 0.5))
    assert found.method == "the only label"
    assert found.consensus.tolist() == [1, 0]
    assert found.quality.tolist() == [0.5, 0.5]
    assert np.isnan(found.alpha)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 30), st.integers(1, 5), st.integers(1, 4), st.integers(0, 999))
def test_any_table_of_labels_gives_a_consensus_that_somebody_said_and_the_same_in_any_order(n, a, k, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(-1, k, (n, a))
    found, order = consensus(labels), rng.permutation(n)
    for row, label in zip(labels, found.consensus, strict=True):
        assert label in row if (row >= 0).any() else label == -1
    again = consensus(labels[order])
    assert (again.consensus == found.consensus[order]).all()
    assert np.array_equal(again.annotator_quality, found.annotator_quality, equal_nan=True)


@pytest.mark.parametrize(
    ("labels", "p", "match"),
    [
        (np.zeros(3, int), None, r"shape \(rows, annotators\), got \(3,\)"),
        (np.array([[0.0, np.nan]]), None, "got float64. Fix: -1 instead of NaN"),
        (np.array([[0, -2]]), None, "or -1 for none; got -2"),
        (np.array([[0, 2]]), np.array([[0.5, 0.5]]), "labels below 2.*got 2"),
        (np.array([[0, 1]]), np.array([[0.5, 0.6]]), "sum to 1, got 1.1 in row 0"),
        (np.array([[0, 1]]), np.array([[np.nan, 0.6]]), "NaN or infinity in 1 of 1"),
        (np.array([[0, 1]]), np.zeros((3, 2)), r"shape \(1, labels\)"),
    ],
)
def test_bad_input_is_refused_with_what_was_expected(labels, p, match):
    with pytest.raises(DataError, match=match):
        consensus(labels, p)
