"""What every registered target that the job trains promises."""

from __future__ import annotations

import inspect
import json
import random

import numpy as np
import pytest
import torch

from sparring import registry
from sparring.errors import TargetFailed
from sparring.protocols import violation_scores
from sparring.targets.base import TrainableTarget

NAMES = ("benign", "spam", "threat")
WORDS = {"benign": "lunch home bus dinner sleep mum".split(), "spam": "free prize claim cash winner".split()}
ODD = ["", " ", "П" * 40, "免费 奖品 🎁🎁", "café e\u0301 \u200b", "\ud800 lone", "free " * 5000, "x" * 20_000]


def rows(n: int = 96) -> tuple[list[str], list[str]]:
    """No row is a threat: that label must keep its column all the same."""
    rng = random.Random(0)
    labels = ["spam" if i % 3 == 0 else "benign" for i in range(n)]
    return [" ".join(rng.choice(WORDS[label]) for _ in range(rng.randint(3, 9))) for label in labels], labels


@pytest.fixture(scope="session")
def small(tiny_bert) -> dict[str, dict]:
    """Settings that make a heavy target small enough for this suite."""
    return {
        "transformers": {"model": str(tiny_bert), "max_length": 32, "epochs": 8, "learning_rate": 5e-3, "batch_size": 8},
        "llm_guard": {"verdicts": {"kind": "dummy"}},
    }


@pytest.fixture(params=registry.names("target"))
def target(request, small) -> TrainableTarget:
    made = registry.make("target", request.param, **small.get(request.param, {}))
    return made if isinstance(made, TrainableTarget) else pytest.skip("not trained by the job")


@pytest.fixture(scope="session")
def fitted_once() -> dict:
    return {}


@pytest.fixture
def fitted(target, fitted_once) -> TrainableTarget:
    if repr(target) not in fitted_once:
        texts, labels = rows()
        fitted_once[repr(target)] = target.fit(texts, labels, names=NAMES, seed=3)
    return fitted_once[repr(target)]


def test_repr_shows_every_setting(target):
    settings = target.settings()
    assert settings.keys() == set(inspect.signature(type(target)).parameters)
    for name, value in settings.items():
        assert f"{name}={value!r}" in repr(target)
    assert type(target)(**json.loads(json.dumps(settings))).settings() == settings
    assert all(p.kind is p.KEYWORD_ONLY for p in inspect.signature(type(target)).parameters.values())


def test_an_unfitted_target_says_so(target, tmp_path):
    for use in (lambda: target.predict_proba(["free prize"]), lambda: target.save(tmp_path / "target")):
        with pytest.raises(TargetFailed, match="fitted"):
            use()


def test_fit_returns_a_new_target_that_has_learnt(target, fitted):
    texts, labels = rows()
    assert type(fitted) is type(target)
    assert fitted is not target
    assert not target.labels
    assert fitted.settings() == target.settings()
    assert fitted.labels == NAMES
    p = fitted.predict_proba(texts)
    assert [NAMES[i] for i in p.argmax(1)] == labels, "columns stand in the order of `names`, also where one has no rows"


def test_probabilities_have_the_shape_and_kind_that_callers_rely_on(fitted):
    for texts in ([], ["free prize"], rows()[0], ODD):
        p = fitted.predict_proba(texts)
        assert p.shape == (len(texts), 3)
        assert p.dtype == np.float32
        np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
        assert violation_scores(fitted, texts).shape == (len(texts),)


def test_rows_come_back_in_order_whatever_stands_beside_them(fitted):
    texts = [*rows()[0], *ODD]
    whole = fitted.predict_proba(texts)
    order = random.Random(1).sample(range(len(texts)), len(texts))
    np.testing.assert_allclose(fitted.predict_proba([texts[i] for i in order]), whole[order], atol=1e-5)
    np.testing.assert_allclose(np.concatenate([fitted.predict_proba([t]) for t in texts[-20:]]), whole[-20:], atol=1e-5)
    np.testing.assert_array_equal(fitted.predict_proba(texts), whole)


def test_a_saved_target_comes_back_the_same(fitted, tmp_path):
    folder = tmp_path / "deep" / "target"
    texts = [*rows()[0], *ODD]
    fitted.threshold = 0.37
    fitted.save(folder)
    back = type(fitted).load(folder)
    assert (back.labels, back.threshold, repr(back)) == (fitted.labels, 0.37, repr(fitted))
    np.testing.assert_array_equal(back.predict_proba(texts), fitted.predict_proba(texts))
    assert not [p for p in folder.rglob("*") if p.suffix in (".pkl", ".pickle", ".bin", ".pt", ".joblib")]


def test_two_fits_are_equal_and_leave_the_random_state_as_it_was(target, fitted):
    texts, labels = rows()
    random.seed(11)
    np.random.seed(11)
    torch.manual_seed(11)
    expected = random.random(), np.random.random(), torch.rand(1).item()
    random.seed(11)
    np.random.seed(11)
    torch.manual_seed(11)
    again = target.fit(texts, labels, names=NAMES, seed=3)
    assert (random.random(), np.random.random(), torch.rand(1).item()) == expected
    assert not torch.are_deterministic_algorithms_enabled()
    np.testing.assert_array_equal(again.predict_proba(texts), fitted.predict_proba(texts))


def test_a_fit_prints_nothing_and_writes_nothing_here(target, tmp_path, monkeypatch, capfd, recwarn):
    monkeypatch.chdir(tmp_path)
    texts, labels = rows(24)
    target.fit(texts, labels, names=NAMES, seed=0).save(tmp_path / "target")
    type(target).load(tmp_path / "target").predict_proba(ODD)
    assert capfd.readouterr() == ("", "")
    assert not [str(w.message) for w in recwarn if not issubclass(w.category, DeprecationWarning)]
    assert [p.name for p in tmp_path.iterdir()] == ["target"]
