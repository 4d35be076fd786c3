"""From a classifier's classes to a policy's labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring.errors import JobError, TargetFailed
from sparring.protocols import violation_scores
from sparring.targets.scores import Scores, rescaled, to_policy

NAMES = ("benign", "spam", "threat")
CLASSES = ("ham", "advert", "scam", "violence")
MAP = {"ham": "benign", "advert": "spam", "scam": "spam", "violence": "threat"}
share = st.floats(0, 1, width=32)


def policy(values, classes=CLASSES, labels=None, thresholds=None, default=0.5):
    found = Scores(classes, np.array(values, np.float64))
    return to_policy(found, NAMES, labels=labels, thresholds=thresholds or {}, default=default, who="target 'x'")


class Answering:
    labels, threshold = NAMES, 0.5

    def __init__(self, p):
        self.predict_proba = lambda samples: p


def test_shares_of_a_whole_are_summed_over_a_labels_classes():
    p = policy([[0.4, 0.2, 0.3, 0.1]], labels=MAP)
    np.testing.assert_allclose(p, [[0.4, 0.5, 0.1]], atol=1e-7)
    assert p.dtype == np.float32


def test_scores_that_stand_for_themselves_leave_benign_what_the_highest_leaves():
    p = policy(
        [[0.7, 0.2, 0.1], [0.0, 0.0, 0.0]],
        classes=("advert", "scam", "violence"),
        labels={k: MAP[k] for k in MAP if k != "ham"},
    )
    np.testing.assert_allclose(p, [[0.3, 0.7, 0.1], [1, 0, 0]], atol=1e-7)


def test_a_class_that_the_map_leaves_out_is_not_counted_and_not_even_looked_at():
    p = policy([[0.1, 0.2, 0.9, -7.0], [0.1, 0.2, 0.9, np.nan]], labels={"advert": "spam"})
    np.testing.assert_allclose(p, [[0.8, 0.2, 0.0]] * 2, atol=1e-7)


def test_a_label_without_a_class_is_never_found():
    assert (policy([[0.4, 0.6]], classes=("benign", "spam"))[:, 2] == 0).all()


def test_a_row_that_failed_stays_a_row_of_nan_and_the_others_stay():
    p = policy([[0.4, 0.6], [np.nan, np.nan], [0.9, 0.1]], classes=("benign", "spam"))
    assert np.isnan(p[1]).all()
    np.testing.assert_allclose(p[[0, 2]], [[0.4, 0.6, 0], [0.9, 0.1, 0]], atol=1e-7)
    with pytest.raises(TargetFailed, match="NaN or infinity in 1 of 3 rows"):
        violation_scores(Answering(p), ["a", "b", "c"])


@given(st.lists(st.tuples(share, share, share), min_size=1, max_size=8), st.tuples(share, share, share))
def test_with_thresholds_a_text_violates_exactly_when_a_class_is_above_its_own(rows, thresholds):
    classes = ("advert", "scam", "violence")
    own = dict(zip(classes, thresholds, strict=True))
    p = policy(rows, classes=classes, labels={"advert": "spam", "scam": "spam", "violence": "threat"}, thresholds=own)
    decided = violation_scores(Answering(p), rows) > 0.5
    assert decided.tolist() == [any(score > t for score, t in zip(row, thresholds, strict=True)) for row in rows]


@given(st.lists(share, min_size=2, max_size=20), share)
def test_rescaling_keeps_the_order_and_the_range(values, threshold):
    values = np.sort(np.array(values, np.float64))
    out = rescaled(values[:, None], np.array([threshold]))[:, 0]
    assert (np.diff(out) >= 0).all()
    assert ((out >= 0) & (out <= 1)).all()


def test_rescaling_is_the_identity_at_the_common_threshold_and_keeps_0_and_1():
    values = np.linspace(0, 1, 11)[:, None]
    np.testing.assert_allclose(rescaled(values, np.array([0.5])), values, atol=1e-6)
    np.testing.assert_allclose(rescaled(np.array([[0.0], [0.2], [0.6], [1.0]]), np.array([0.2]))[:, 0], [0, 0.5, 0.75, 1])


def test_a_class_without_its_own_threshold_has_that_of_the_others():
    values = [[0.35, 0.2], [0.2, 0.35]]
    p = policy(values, classes=("spam", "threat"), thresholds={"threat": 0.3}, default=0.4)
    assert (violation_scores(Answering(p), values) > 0.5).tolist() == [False, True]


def test_a_lone_score_stands_for_the_one_category():
    found = Scores(("score",), np.array([[0.3]]))
    p = to_policy(found, ("benign", "spam"), labels=None, thresholds={}, default=0.5, who="")
    np.testing.assert_allclose(p, [[0.7, 0.3]], atol=1e-7)
    with pytest.raises(JobError, match=r"classes called benign, spam, threat; the classifier's are score"):
        policy([[0.3]], classes=("score",))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, r"the classifier's are ham, advert, scam, violence.*labels:\n    'ham': benign\n    'advert': spam"),
        ({"labels": {**MAP, "hamm": "spam"}}, "the class 'hamm'.*Did you mean 'ham'"),
        ({"labels": {**MAP, "scam": "fraud"}}, "maps to 'fraud'; expected one of benign, spam, threat"),
        ({"labels": {"ham": "benign", "scam": "spam"}}, "advert, violence are missing"),
        ({"labels": {"ham": "benign"}}, "expected a class in `labels` for one of spam, threat"),
        ({"labels": MAP, "thresholds": {"spam": 0.4}}, "`thresholds` names the class 'spam'"),
    ],
    ids=str,
)
def test_a_map_that_does_not_fit_is_named_with_the_fix(wrong, said):
    import re

    with pytest.raises(JobError) as raised:
        policy([[0.4, 0.2, 0.3, 0.1]], **wrong)
    assert re.search(said, str(raised.value), re.DOTALL), raised.value


@pytest.mark.parametrize("values", [[[0.4, 60.0]], [[0.4, -0.1]], [[0.4, np.inf]]], ids=str)
def test_what_is_no_score_is_refused(values):
    with pytest.raises(TargetFailed, match=r"expected scores in \[0, 1\]"):
        policy(values, classes=("benign", "spam"))
