"""What the transformers target does beyond what every target does."""

from __future__ import annotations

import contextlib
import pathlib
import random
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import f1_score

from sparring import data, jobs, policy, registry
from sparring.errors import JobError, ReferenceNotFound
from sparring.protocols import violation_scores
from sparring.record import BENIGN
from sparring.targets.transformers import TransformersTarget, quiet

ROOT = pathlib.Path(__file__).parents[3]
TEXTS, LABELS = ["lunch home", "free prize claim", "bus mum", "cash winner prize"], ["benign", "spam", "benign", "spam"]
NAMES = ("benign", "spam")


@pytest.fixture
def fit(tiny_bert):
    def go(texts=TEXTS, labels=LABELS, **settings) -> TransformersTarget:
        settings = {"model": str(tiny_bert), "max_length": 16, "epochs": 1, "learning_rate": 1e-2} | settings
        return TransformersTarget(**settings).fit(texts, labels, names=NAMES, seed=0)

    return go


def weights(target: TransformersTarget) -> dict[str, np.ndarray]:
    return {name: p.detach().numpy().copy() for name, p in target._model.named_parameters()}


@pytest.mark.parametrize(
    ("freeze", "still"),
    [(False, ()), (0, ("embeddings",)), (1, ("embeddings", "layer.0")), (True, ("embeddings", "layer.0", "layer.1"))],
)
def test_freeze_keeps_embeddings_and_layers_as_they_are(fit, freeze, still):
    before, after = weights(fit(learning_rate=0.0)), weights(fit(freeze=freeze))
    for part in ("embeddings.word", "layer.0", "layer.1", "pooler", "classifier"):
        same = all(np.array_equal(before[name], after[name]) for name in before if f".{part}" in f".{name}")
        assert same == part.startswith(tuple(still) or "-"), part


def test_a_rare_class_weighs_as_much_as_a_common_one(fit):
    """Texts say nothing here, so that the answer is the share of each class as the loss weighs it."""
    texts, labels = ["bus"] * 64, ["spam"] * 8 + ["benign"] * 56
    shares = {
        w: fit(texts, labels, class_weight=w, epochs=12, batch_size=16).predict_proba(["bus"])[0, 1] for w in ("balanced", None)
    }
    assert abs(shares["balanced"] - 0.5) < 0.15
    assert abs(shares[None] - 0.125) < 0.1


def test_bfloat16_trains_the_same_and_predicts_near_float32(fit, tmp_path):
    fast = fit(dtype="bfloat16", epochs=4)
    fast.save(tmp_path / "fast")
    p = fast.predict_proba(TEXTS)
    assert np.array_equal(TransformersTarget.load(tmp_path / "fast").predict_proba(TEXTS), p)
    fast.settings = fast.settings.model_copy(update={"dtype": "float32"})
    assert 0 < np.abs(fast.predict_proba(TEXTS) - p).max() < 0.02


def test_batches_are_of_like_length_and_no_row_depends_on_them(fit):
    target, rng, seen = fit(epochs=20), random.Random(0), []
    texts = [
        " ".join(rng.choices("lunch home free prize claim bus mum cash winner".split(), k=rng.randint(1, 14)))
        for _ in range(41)
    ]
    forward = target._model.forward

    def spy(**batch):
        seen.append(batch["attention_mask"])
        return forward(**batch)

    def padded(masks) -> int:
        return int(sum((1 - mask).sum() for mask in masks))

    target._model.forward = spy
    found = {}
    for size in (1, 5, 64):
        target.settings = target.settings.model_copy(update={"batch_size": size})
        seen.clear()
        found[size] = target.predict_proba(texts)
        assert [len(mask) for mask in seen] == [min(size, 41 - at) for at in range(0, 41, size)]
        if size == 5:
            lengths = [len(ids) for ids in target._token_ids(texts)]
            as_given = sum(max(lengths[at : at + 5]) * len(lengths[at : at + 5]) for at in range(0, 41, 5)) - sum(lengths)
            assert 0 < padded(seen) < as_given / 4
    order = rng.sample(range(41), 41)
    shuffled = target.predict_proba([texts[i] for i in order])
    np.testing.assert_allclose(shuffled, found[64][order], atol=1e-5)
    np.testing.assert_allclose(found[5], found[1], atol=1e-5)
    np.testing.assert_allclose(found[64], found[1], atol=1e-5)
    assert np.ptp(found[1][:, 0]) > 1e-3, "the rows differ, or this test shows nothing"


@pytest.mark.slow
def test_a_compiled_target_says_the_same_and_is_saved_as_any(fit, tmp_path):
    plain, fast = fit(batch_size=2), fit(compile=True, batch_size=2)
    texts = [*TEXTS, "lunch " * 9]
    np.testing.assert_allclose(fast.predict_proba(texts), plain.predict_proba(texts), atol=1e-5)
    assert fast._compiled is not None
    assert fast.fit(TEXTS, LABELS, names=NAMES, seed=1)._compiled is None, "another fit is another model"
    fast.save(tmp_path / "fast")
    np.testing.assert_allclose(
        TransformersTarget.load(tmp_path / "fast").predict_proba(texts), plain.predict_proba(texts), atol=1e-5
    )


@pytest.mark.parametrize("kind", ["transformers", "pretrained"])
def test_without_a_compiler_the_fix_is_said_before_a_model_is_compiled(fit, kind, tmp_path, monkeypatch):
    fitted = fit(compile=True)
    if kind == "pretrained":
        fitted.save(tmp_path / "model")
        fitted = registry.make("target", kind, model=str(tmp_path / "model"), compile=True).with_labels(NAMES)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(
        JobError, match=f"target '{kind}': compile: true needs a C.. compiler, found no no-such-compiler. Fix: "
    ):
        fitted.predict_proba(TEXTS)


def test_what_follows_max_length_is_not_seen(fit):
    target = fit()
    seen = "lunch " * 14  # and [CLS], [SEP]
    p = target.predict_proba([seen, seen + "free prize claim", "lunch " * 13 + "free prize"])
    assert np.array_equal(p[0], p[1])
    assert not np.array_equal(p[0], p[2])


def test_the_saved_folder_is_a_model_that_transformers_loads_by_itself(fit, tmp_path):
    from transformers import pipeline

    fitted = fit()
    fitted.save(tmp_path / "target")
    with quiet():
        answer = pipeline("text-classification", str(tmp_path / "target"), device="cpu", top_k=None)(["free prize"])
    scores = {entry["label"]: entry["score"] for entry in answer[0]}
    assert [scores[name] for name in NAMES] == pytest.approx(fitted.predict_proba(["free prize"])[0].tolist(), abs=1e-5)


def test_a_classifier_that_was_trained_elsewhere_loads_with_the_labels_of_its_config(fit, tmp_path):
    fitted = fit()
    fitted.save(tmp_path / "target")
    (tmp_path / "target" / "target.json").unlink()
    back = TransformersTarget.load(tmp_path / "target")
    assert back.labels == NAMES
    assert np.array_equal(back.predict_proba(TEXTS), fitted.predict_proba(TEXTS))


def test_a_classifier_with_other_labels_can_be_the_base(fit, tmp_path):
    fit().save(tmp_path / "base")
    names = ("benign", "spam", "threat")
    settings = {"model": str(tmp_path / "base"), "max_length": 16, "epochs": 1}
    assert TransformersTarget(**settings).fit(TEXTS, LABELS, names=names, seed=0).predict_proba(TEXTS).shape == (4, 3)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("hf://no-such-org/no-such-model", "hf download no-such-org/no-such-model"),
        ("no/such/folder", "expected a file or folder"),
        ("pkg://no_such_package/model", "pip install no-such-package"),
        (".", "config.json"),
    ],
)
def test_a_model_that_cannot_be_had_is_named_with_the_fix(fit, model, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReferenceNotFound, match=message):
        fit(model=model)


def test_weights_that_would_be_unpickled_are_not_loaded(fit, tiny_bert, tmp_path):
    shutil.copytree(tiny_bert, tmp_path / "base")
    torch.save(load_file(tmp_path / "base" / "model.safetensors"), tmp_path / "base" / "pytorch_model.bin")
    (tmp_path / "base" / "model.safetensors").unlink()
    with pytest.raises(ReferenceNotFound, match="safetensors"):
        fit(model=str(tmp_path / "base"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"class_weight": "equal"},
        {"dtype": "int8"},
        {"device": "tpu"},
        {"epochs": 0},
        {"epochs": 1.5},
        {"freeze": 3},
        {"max_length": 65},
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(fit, wrong):
    with pytest.raises(JobError, match=f"target 'transformers': .*{next(iter(wrong))}"):
        fit(**wrong)


def test_quiet_restores_what_it_found():
    from transformers.utils import logging

    before = logging.is_progress_bar_enabled(), logging.get_verbosity()
    with contextlib.suppress(KeyError), quiet():
        assert not logging.is_progress_bar_enabled()
        raise KeyError
    assert (logging.is_progress_bar_enabled(), logging.get_verbosity()) == before


@pytest.mark.slow
def test_minilm_learns_from_300_messages():
    job = jobs.load(ROOT / "examples" / "sms_minilm.yaml")
    rules = policy.load(job.base / job.policy)
    corpus = data.load(job.data, rules, base=job.base, seed=job.seed)
    train, validation = corpus.by("train")[:300], corpus.by("validation")
    target = TransformersTarget(**job.target.settings)
    fitted = target.fit([r.text for r in train], [r.label_name for r in train], names=rules.labels, seed=0)
    found = violation_scores(fitted, [r.text for r in validation]) > 0.5
    truth = np.array([r.label_name != BENIGN for r in validation])
    assert f1_score(truth, found) > 0.85
