"""ONNX models that real exporters wrote, against what they were exported from."""

from __future__ import annotations

import importlib.util
import shutil

import numpy as np
import pytest
import torch

from sparring import registry
from sparring.errors import JobError, MissingExtra, ReferenceNotFound

NAMES = ("benign", "spam", "threat")
TEXTS = ["lunch home", "free prize claim cash winner", "", "bus", "שלום", "zzz qqq free " * 40, "mum " * 9]


def onnx(model, **settings):
    return registry.make("target", "onnx", **{"model": str(model), "batch_size": 3} | settings).with_labels(NAMES)


@pytest.fixture(scope="session")
def original(tiny_classifier):
    """What the torch model itself says of texts, one by one."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_classifier)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_classifier).eval()

    def logits(texts, max_length=512):
        with torch.inference_mode():
            rows = [
                model(**tokenizer(t, return_tensors="pt", truncation=True, max_length=min(max_length, 64))).logits
                for t in texts
            ]
        return torch.cat(rows)

    return logits  # fmt: skip


def test_probabilities_are_torchs_own(tiny_onnx, original):
    p = onnx(tiny_onnx, max_length=64).predict_proba(TEXTS)
    np.testing.assert_allclose(p, original(TEXTS).softmax(1), atol=1e-4)
    assert np.ptp(p[:, 0]) > 0.2


def test_what_follows_max_length_is_not_seen(tiny_onnx, original):
    np.testing.assert_allclose(onnx(tiny_onnx, max_length=8).predict_proba(TEXTS), original(TEXTS, 8).softmax(1), atol=1e-4)


def test_a_multi_label_model_goes_through_a_sigmoid(tiny_onnx, original):
    p = onnx(tiny_onnx, max_length=64, activation="sigmoid", labels={"spam": "spam", "threat": "threat"}).predict_proba(TEXTS)
    np.testing.assert_allclose(p[:, 1:], original(TEXTS).sigmoid()[:, 1:], atol=1e-4)
    np.testing.assert_allclose(p[:, 0], 1 - p[:, 1:].max(1), atol=1e-6)


def test_a_lone_tokenizer_json_and_named_classes_will_do(tiny_onnx, original, tmp_path):
    (tmp_path / "tokens").mkdir()
    shutil.copy(tiny_onnx / "tokenizer.json", tmp_path / "tokens")
    (tmp_path / "model").mkdir()
    shutil.copy(tiny_onnx / "model.onnx", tmp_path / "model" / "quantized.onnx")
    classes, labels = ["a", "b", "c"], {"a": "benign", "b": "spam", "c": "threat"}
    shared = {"tokenizer": str(tmp_path / "tokens"), "classes": classes, "labels": labels, "max_length": 64}
    for settings in (
        {"model": str(tmp_path / "model"), "file": "quantized.onnx"},
        {"model": f"{tmp_path}/model/quantized.onnx"},
    ):
        p = onnx(**settings, **shared).predict_proba(TEXTS)
        np.testing.assert_allclose(p, original(TEXTS).softmax(1), atol=1e-4)
    assert set(onnx(tmp_path / "model", **shared).content()) == {"model", "tokenizer"}


@pytest.mark.slow
def test_torchs_newer_exporter_with_its_weights_in_a_file_beside(tiny_classifier, original, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_classifier)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_classifier).eval()
    found = tokenizer(["lunch home", "free prize claim cash"], return_tensors="pt", padding=True)
    shapes = {name: {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")} for name in found}
    torch.onnx.export(
        model, kwargs=dict(found), f=tmp_path / "model.onnx", output_names=["logits"], dynamic_shapes=shapes, dynamo=True
    )
    tokenizer.save_pretrained(tmp_path)
    model.config.save_pretrained(tmp_path)
    assert (tmp_path / "model.onnx.data").exists()
    p = onnx(tmp_path, max_length=64).predict_proba(TEXTS)
    np.testing.assert_allclose(p, original(TEXTS).softmax(1), atol=1e-4)


@pytest.mark.parametrize("zipmap", [True, False])
def test_a_model_of_strings_by_skl2onnx_says_what_its_pipeline_says(spam_pipeline, tmp_path, zipmap):
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import StringTensorType
    from sklearn.linear_model import LogisticRegression

    # Lower case is left out: ONNX does it by a locale of the system, en_US.UTF-8, which a bare machine lacks.
    pipeline, texts = spam_pipeline(LogisticRegression(), lowercase=False), ["free prize", "lunch home", "bus cash", "zzz"]
    converted = to_onnx(pipeline, initial_types=[("text", StringTensorType([None, 1]))], options={"zipmap": zipmap})
    (tmp_path / "model.onnx").write_bytes(converted.SerializeToString())
    labels = {"ham": "benign", "spam": "spam"} if zipmap else {"0": "benign", "1": "spam"}
    target = registry.make("target", "onnx", model=str(tmp_path / "model.onnx"), labels=labels).with_labels(("benign", "spam"))
    np.testing.assert_allclose(target.predict_proba(texts), pipeline.predict_proba(texts), atol=1e-5)


def test_a_missing_package_is_named_with_the_install_command(tiny_onnx, monkeypatch):
    import sys

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "onnxruntime" else found(name, *rest))
    with pytest.raises(MissingExtra, match=r"target 'onnx' needs the package onnxruntime.*pip install 'sparring\[onnx\]'"):
        onnx(tiny_onnx).check(NAMES)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match="onnxruntime"):
        onnx(tiny_onnx).predict_proba(["x"])


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"file": "other.onnx"}, ReferenceNotFound, "found no other.onnx there"),
        ({"providers": ["TPUExecutionProvider"]}, JobError, "has no TPUExecutionProvider; it has .*CPUExecutionProvider"),
        ({"classes": ["a", "b"]}, JobError, "names 2, the model gives 3"),
        ({"file": "tokenizer.json"}, ReferenceNotFound, "expected an ONNX model that runs here in tokenizer.json"),
        ({"tokenizer": "."}, ReferenceNotFound, "expected a tokenizer beside the model"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named_with_the_fix(tiny_onnx, wrong, error, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said):
        onnx(tiny_onnx, **wrong).predict_proba(["x"])
