from __future__ import annotations

import re

import numpy as np
import pytest

from mining.labels import issues, verdict_view, views
from sparring import policy
from sparring.errors import DataError
from sparring.targets.llm_guard import LlmGuard


class Counting(LlmGuard):
    """Notes what it is shown."""

    def predict_proba(self, samples):
        self.shown = list(samples)
        return super().predict_proba(samples)


@pytest.fixture
def case(policy_path):
    """Texts of spam words and of none; vectors that know nothing of 40 of them, half of which are labelled wrong."""
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    texts = [f"win a free prize, claim cash {i}" if c else f"see you at lunch {i}" for i, c in enumerate(y)]
    x = np.eye(2, 8)[y] + 0.1 * rng.standard_normal((400, 8))
    x[:40] = 0.5 * np.ones(8) + 0.1 * rng.standard_normal((40, 8))
    noisy = y.copy()
    noisy[:20] = 1 - y[:20]
    guard = Counting(verdicts={"kind": "dummy"}).under(policy.load(policy_path))
    return texts, y, noisy, views.make(x.astype(np.float32), noisy, seed=0), guard


def test_it_is_asked_about_disputed_rows_only_and_tells_them_right(case):
    texts, y, noisy, cheap, guard = case
    found = verdict_view.ask(guard, texts, noisy, cheap, seed=0, budget=30, calibration=60)
    assert found.note == ""
    assert 0 < len(found.asked) <= 30
    assert (found.asked < 40).mean() >= 0.9
    assert len(found.calibrated_on) == 60
    assert not set(found.asked) & set(found.calibrated_on)
    assert guard.shown == [texts[i] for i in [*found.calibrated_on, *found.asked]]
    spoken = ~np.isnan(found.probabilities[:, 0])
    assert set(np.flatnonzero(spoken)) == set(found.asked)
    assert (found.probabilities[spoken].argmax(1) == y[spoken]).all()
    both = cheap.joined("guard", found.probabilities)
    result = issues.from_views(both, noisy, seed=0)
    wrong = np.intersect1d(found.asked, np.flatnonzero(noisy != y))
    named = [o.view for why in issues.reasons(result, np.eye(400, 8) + 1, noisy, wrong) for o in why.objections]
    assert named.count("guard") == len(wrong)


def test_a_model_that_is_wrong_about_calm_rows_is_not_believed(case, policy_path):
    texts, _, noisy, cheap, _ = case
    guard = LlmGuard(verdicts={"kind": "dummy", "words": ["lunch"], "weight": 6.0}).under(policy.load(policy_path))
    found = verdict_view.ask(guard, texts, noisy, cheap, seed=0)
    assert re.search("right on [0-9]% of undisputed rows", found.note)
    assert np.isnan(found.probabilities).all()


def test_an_unsure_model_abstains(case):
    texts, _, noisy, cheap, guard = case
    found = verdict_view.ask(guard, texts, noisy, cheap, seed=0, sure=1.01)
    assert len(found.asked)
    assert np.isnan(found.probabilities).all()


def test_without_dispute_or_calibration_nothing_is_asked(case):
    texts, y, noisy, cheap, guard = case
    sure = views.Views(("mine",), np.eye(2, dtype=np.float32)[y][None])
    assert verdict_view.ask(guard, texts, y, sure, seed=0).note == "no row is in dispute"
    assert "of 5 needed" in verdict_view.ask(guard, texts, noisy, cheap, seed=0, calibration=4).note
    assert not hasattr(guard, "shown")


def test_other_labels_and_missing_texts_are_said(case):
    texts, _, noisy, cheap, guard = case
    with pytest.raises(DataError, match="a text and a label for each of 400 rows"):
        verdict_view.ask(guard, texts[:9], noisy, cheap, seed=0)
    with pytest.raises(DataError, match="the 3 labels of the views; got benign"):
        verdict_view.ask(guard, texts, noisy, views.Views(("v",), np.full((1, 400, 3), 1 / 3, np.float32)), seed=0)
