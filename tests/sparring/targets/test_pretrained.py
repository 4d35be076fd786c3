"""A classifier that transformers saved, used as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sparring import registry
from sparring.errors import JobError, ReferenceNotFound
from sparring.quiet import quiet

NAMES = ("benign", "spam", "threat")
TEXTS = ["lunch home", "free prize claim cash winner", "bus", "שלום", "mum " * 9]


def pretrained(model, **settings):
    return registry.make("target", "pretrained", model=str(model), **settings).with_labels(NAMES)


def pipeline(model, **options):
    """What transformers' own pipeline says, by class."""
    from transformers import pipeline

    with quiet():
        answers = pipeline("text-classification", str(model), device="cpu", top_k=None, **options)(TEXTS)
    return [{entry["label"]: entry["score"] for entry in answer} for answer in answers]


@pytest.fixture
def saved(tiny_classifier, tmp_path):
    """The same classifier with another config."""

    def save(**config):
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        with quiet(), torch.random.fork_rng():
            torch.manual_seed(1)
            model = AutoModelForSequenceClassification.from_pretrained(tiny_classifier, ignore_mismatched_sizes=True, **config)
            model.save_pretrained(tmp_path / "model")
            AutoTokenizer.from_pretrained(tiny_classifier).save_pretrained(tmp_path / "model")
        return tmp_path / "model"

    return save


def test_probabilities_are_those_of_transformers_own_pipeline(tiny_classifier):
    p = pretrained(tiny_classifier).predict_proba(TEXTS)
    np.testing.assert_allclose(p, [[row[name] for name in NAMES] for row in pipeline(tiny_classifier)], atol=1e-5)
    assert np.ptp(p[:, 0]) > 0.2


def test_a_multi_label_model_goes_through_a_sigmoid_by_its_own_config(saved):
    model = saved(problem_type="multi_label_classification", id2label={0: "insult", 1: "threat", 2: "advert"})
    p = pretrained(model, labels={"threat": "threat", "advert": "spam"}).predict_proba(TEXTS)
    own = pipeline(model)
    np.testing.assert_allclose(p[:, 1:], [[row["advert"], row["threat"]] for row in own], atol=1e-5)
    np.testing.assert_allclose(p[:, 0], 1 - p[:, 1:].max(1), atol=1e-6)
    forced = pretrained(model, labels={"threat": "threat", "advert": "spam"}, activation="softmax").predict_proba(TEXTS)
    assert np.abs(forced - p).max() > 0.01


def test_one_output_is_one_score(saved):
    model = saved(num_labels=1)
    p = pretrained(model, labels={"LABEL_0": "spam"}).predict_proba(TEXTS)
    np.testing.assert_allclose(p[:, 1], [row["LABEL_0"] for row in pipeline(model)], atol=1e-5)


def test_classes_with_other_names_need_a_map_and_the_error_writes_it(saved):
    model = saved(id2label={0: "neutral", 1: "ad", 2: "menace"})
    with pytest.raises(JobError, match="labels:\n    'neutral': benign\n    'ad': spam"):
        pretrained(model).predict_proba(TEXTS)
    mapped = pretrained(model, labels={"neutral": "benign", "ad": "spam", "menace": "threat"}).predict_proba(TEXTS)
    np.testing.assert_allclose(mapped, [[row[c] for c in ("neutral", "ad", "menace")] for row in pipeline(model)], atol=1e-5)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_holds_the_weights_in_it_and_says_nearly_the_same(tiny_classifier, dtype):
    half = pretrained(tiny_classifier, dtype=dtype)
    p = half.predict_proba(TEXTS)
    assert next(half._model.parameters()).dtype == getattr(torch, dtype)
    assert 0 < np.abs(p - pretrained(tiny_classifier).predict_proba(TEXTS)).max() < 0.1


@pytest.mark.slow
def test_a_compiled_model_says_the_same(tiny_classifier):
    p = pretrained(tiny_classifier, compile=True, batch_size=2).predict_proba(TEXTS)
    np.testing.assert_allclose(p, pretrained(tiny_classifier).predict_proba(TEXTS), atol=1e-5)


def test_a_long_text_is_cut_at_max_length_and_at_the_models_own(tiny_classifier):
    target = pretrained(tiny_classifier, max_length=4)
    p = target.predict_proba(["bus mum", "bus mum free prize"])
    np.testing.assert_allclose(p[0], p[1], atol=1e-6)
    long = pretrained(tiny_classifier).predict_proba(["bus " * 62, "bus " * 62 + "free prize"])  # 64 with [CLS] and [SEP]
    np.testing.assert_allclose(long[0], long[1], atol=1e-6)


def test_what_is_no_model_is_said(tmp_path):
    with pytest.raises(ReferenceNotFound, match=r"give a folder with config\.json"):
        pretrained(tmp_path).predict_proba(["x"])
    with pytest.raises(ReferenceNotFound, match="hf download no-such-org/model"):
        pretrained("hf://no-such-org/model").predict_proba(["x"])
