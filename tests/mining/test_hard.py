from __future__ import annotations

import numpy as np
import pytest

from mining import hard
from sparring import registry
from sparring.embed import unit
from sparring.errors import DataError, UserError

TEXTS = ["win a free prize now", "meet me at the station", "your free ringtone is waiting", "12345"]


def free(texts: list[str]) -> np.ndarray:
    """Catches the word alone: any misspelling of it escapes."""
    return np.array([float("free" in text.split()) for text in texts])


def test_parts_say_what_they_measure():
    p = np.array([[[0.9, 0.1], [0.5, 0.5], [0.1, 0.9]], [[0.9, 0.1], [0.5, 0.5], [0.9, 0.1]]])
    x = unit(np.array([[1, 0.0], [1, 0.9], [0.9, 1]]))
    found = hard.hardness(p, np.array([0, 0, 1]), x)
    assert found.margin == pytest.approx([0.1, 0.5, 0.5])
    assert found.entropy == pytest.approx([0.469, 1, 1], abs=1e-3)
    assert found.disagreement == pytest.approx([0, 0, 0.531], abs=1e-3)
    assert found.nearness[1] > found.nearness[0]
    assert np.isnan(found.flips).all()
    assert found.value[0] < found.value[1]
    assert found.value[0] < found.value[2]
    assert ((found.value >= 0) & (found.value <= 1)).all()


def test_flips_raise_the_value_and_abstaining_views_and_missing_labels_do_not_count():
    p = np.array([[[0.8, 0.2]] * 3, [[np.nan, np.nan]] * 3])
    x = unit(np.eye(3))
    plain = hard.hardness(p, np.array([0, 0, -1]), x)
    flipped = hard.hardness(p, np.array([0, 0, -1]), x, flips=np.array([0.0, 1.0, np.nan]))
    assert flipped.value[1] > plain.value[1] > flipped.value[0]
    assert np.isnan(plain.disagreement).all(), "one view has nobody to disagree with"
    assert np.isnan(plain.margin[2])
    assert np.isfinite(plain.value).all()


def test_flip_rate_counts_operators_that_change_the_decision_and_depends_on_text_and_seed_alone():
    operators = {name: registry.make("operator", name) for name in ("leet", "typo")}
    first = hard.flip_rate(TEXTS, free, operators, strength=1.0)
    assert first[0] == 1
    assert first[1] == 0
    assert np.isnan(first[3]), "payload is never changed"
    backwards = hard.flip_rate(TEXTS[::-1], free, operators, strength=1.0)
    np.testing.assert_array_equal(backwards[::-1], first)
    assert hard.flip_rate([], free, operators).shape == (0,)


def test_what_the_target_fails_on_is_no_flip():
    operators = {name: registry.make("operator", name) for name in ("leet", "typo")}
    copies = [free(TEXTS)]

    def failing(texts):
        scores = np.array(free(texts), float)
        if len(copies) == 2:  # the first operator's copies
            scores[:] = np.nan
        copies.append(scores)
        return scores

    np.testing.assert_array_equal(
        hard.flip_rate(TEXTS, failing, operators, strength=1.0),
        hard.flip_rate(TEXTS, free, {"typo": operators["typo"]}, strength=1.0),
    )
    assert np.isnan(hard.flip_rate(TEXTS, lambda texts: np.full(len(texts), np.nan), operators)).all()


def test_hard_negatives_are_benign_and_come_by_nearness_and_score_in_turn():
    x = unit(np.array([[1, 0], [1, 0.1], [0, 1], [1, 1.0], [-1, 0.1]]))
    y = np.array([1, 0, 0, 0, 0])
    found = hard.hard_negatives(x, y, 3)
    assert found.rows.tolist() == [1, 3, 2]
    assert found.violating.tolist() == [0, 0, 0]
    assert (np.diff(found.cosine) <= 0).all()
    scored = hard.hard_negatives(x, y, 3, scores=np.array([0.9, 0.1, 0.2, 0.3, 0.8]))
    assert scored.rows.tolist() == [1, 4, 3]
    assert scored.score.tolist() == pytest.approx([0.1, 0.8, 0.3])
    assert hard.hard_negatives(x, np.zeros(5, int), 2).violating.tolist() == [-1, -1]
    assert len(hard.hard_negatives(x, np.ones(5, int), 2).rows) == 0


def test_bad_input_is_named():
    x, y = unit(np.eye(2)), np.array([0, 1])
    for p in (np.full((1, 2, 2), 0.7), np.array([[[np.nan, 1.0], [0.5, 0.5]]])):
        with pytest.raises(DataError, match="sum to 1, or NaN throughout"):
            hard.hardness(p, y, x)
    with pytest.raises(DataError, match="views \\(v, n, k >= 2\\)"):
        hard.hardness(np.ones((2, 2)), y, x)
    with pytest.raises(DataError, match="labels from -1 to 1, got 0 to 5"):
        hard.hardness(np.full((1, 2, 2), 0.5), np.array([0, 5]), x)
    with pytest.raises(DataError, match="finite vectors"):
        hard.hardness(np.full((1, 2, 2), 0.5), y, np.full((2, 2), np.nan))
    with pytest.raises(UserError, match="at least one operator"):
        hard.flip_rate(TEXTS, free, {})
    with pytest.raises(DataError, match="a finite score for each of 4 texts"):
        hard.flip_rate(TEXTS, lambda texts: np.ones(2), {"typo": registry.make("operator", "typo")})
    with pytest.raises(UserError, match="budget of 0 or more"):
        hard.hard_negatives(x, y, -1)
