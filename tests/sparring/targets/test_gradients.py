"""Targets that give gradients: what a swap of words should gain, held against what it really gains."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline, make_union

from sparring import registry
from sparring.errors import JobError
from sparring.protocols import violation_scores
from sparring.targets.linear import LinearSwaps

NAMES = ("benign", "spam", "threat")
WORDS = ("lunch", "home", "bus", "dinner", "free", "prize", "winner", "zzz")
CALM, TELLING = "lunch home bus dinner sleep mum".split(), "free prize claim cash winner".split()
TEXTS = ["free prize lunch claim cash", "lunch home bus dinner", "Winner! free cash home"]


def rows(n: int = 60):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(TELLING if i % 2 else CALM, 6)) for i in range(n)]
    return texts, ["spam" if i % 2 else "benign" for i in range(n)]


def spans_of(text: str) -> tuple[tuple[int, int], ...]:
    import re

    return tuple(m.span() for m in re.finditer(r"[a-z]+", text, re.I))


@pytest.fixture(scope="module", params=registry.flagged("target", "gradients"))
def white(request, settings_of):
    target = registry.make("target", request.param, **settings_of(request.param))
    texts, labels = rows()
    return target.fit(texts, labels, names=NAMES, seed=3) if target.trainable else target.with_labels(NAMES)


def test_the_flag_tells_the_truth():
    for name in registry.names("target"):
        part = registry.find("target", name)
        assert part.gradients == hasattr(part, "swap_gains"), name
        assert ("gradients" in registry.about("target", name)["flags"]) == part.gradients


def true_gains(target, text, spans):
    odds = lambda texts: -np.log(1 / violation_scores(target, texts).astype(np.float64) - 1)  # noqa: E731
    swapped = [text[:a] + word + text[b:] for a, b in spans for word in WORDS]
    return (odds([text]) - odds(swapped)).reshape(len(spans), len(WORDS))


def test_gains_have_the_shape_that_callers_rely_on_and_of_a_linear_target_the_order_too(white):
    spans = [spans_of(text) for text in TEXTS]
    found = white.swap_gains(TEXTS, spans, WORDS)
    assert [g.shape for g in found] == [(len(s), len(WORDS)) for s in spans]
    assert {g.dtype for g in found} == {np.dtype(np.float32)}
    assert all(np.isfinite(g[:, :7]).all() for g in found)
    if white.kind.startswith("sklearn"):  # of a random encoder no first order foretells a whole swap
        true = np.concatenate([true_gains(white, t, s) for t, s in zip(TEXTS, spans, strict=True)])
        assert spearmanr(np.concatenate(found).ravel(), true.ravel())[0] > 0.6


def test_a_text_does_not_depend_on_the_others_and_odd_ones_do_no_harm(white):
    odd = ["", " ", "\ud800 free", "free " * 3000, "П" * 40, "!!"]
    texts = [*TEXTS, *odd]
    spans = [spans_of(text)[:5] for text in texts]
    together = white.swap_gains(texts, spans, WORDS)
    for text, mine, gains in zip(texts, spans, together, strict=True):
        np.testing.assert_array_equal(white.swap_gains([text], [mine], WORDS)[0], gains)
        assert not np.isnan(gains).any()
    assert white.swap_gains([], [], WORDS) == []
    assert white.swap_gains(TEXTS[:1], spans[:1], ())[0].shape == (5, 0)


def test_the_gradient_of_an_encoder_is_the_derivative_at_its_embeddings(tiny_classifier):
    target = registry.make("target", "pretrained", model=str(tiny_classifier)).with_labels(NAMES)
    text = "free prize lunch"
    (gains,) = target.swap_gains([text], [spans_of(text)], ("bus", "winner", "unheard"))
    assert np.isneginf(gains[:, 2]).all(), "several tokens"
    model, tokenizer = target._model, target._tokenizer
    table, ids = model.get_input_embeddings().weight, tokenizer(text)["input_ids"]

    def odds(embeddings):
        z = model(inputs_embeds=embeddings[None]).logits[0].double()
        return z[1:].logsumexp(0) - z[0]

    with torch.no_grad():
        own, step = table[ids], 1e-3
        for i in range(3):
            for j, word in enumerate(("bus", "winner")):
                moved = own.clone()
                moved[i + 1] += step * (table[tokenizer.convert_tokens_to_ids(word)] - own[i + 1])
                assert gains[i, j] == pytest.approx(float(odds(own) - odds(moved)) / step, rel=0.1, abs=0.05)


def test_what_an_encoder_does_not_see_gains_nothing(tiny_classifier):
    target = registry.make("target", "pretrained", model=str(tiny_classifier), max_length=4).with_labels(NAMES)
    text = "free prize lunch home"
    (gains,) = target.swap_gains([text], [spans_of(text)], ("bus",))
    assert np.isfinite(gains[:, 0]).tolist() == [True, True, False, False]


@pytest.mark.parametrize("settings", [
    {}, {"labels": {"spam": "spam", "threat": "threat"}}, {"labels": {"spam": "spam"}, "activation": "sigmoid"},
    {"labels": {"spam": "spam", "threat": "threat"}, "thresholds": {"spam": 0.2, "threat": 0.7}},
])  # fmt: skip
def test_what_is_derived_is_the_log_odds_of_the_score_that_a_job_sees(tiny_classifier, settings):
    target = registry.make("target", "pretrained", model=str(tiny_classifier), **settings).with_labels(NAMES)
    scores = violation_scores(target, TEXTS)
    inputs = [target._tokenizer(text, return_tensors="pt") for text in TEXTS]
    with torch.no_grad():
        odds = np.array([float(target._violating(target._model(**x).logits[0])) for x in inputs])
    if "thresholds" in settings:  # which bend the score, and meet it where it decides
        assert ((odds > 0) == (scores > 0.5)).all()
    else:
        np.testing.assert_allclose(1 / (1 + np.exp(-odds)), scores, atol=1e-4)


@pytest.mark.parametrize("before", [
    (TfidfVectorizer(),), (TfidfVectorizer(norm="l1"),), (CountVectorizer(),), (CountVectorizer(), TfidfTransformer()),
    (make_union(TfidfVectorizer(sublinear_tf=True), TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3))),),
], ids=lambda parts: "-".join(type(p).__name__ for p in parts))  # fmt: skip
@pytest.mark.parametrize("classes", [2, 3])
def test_weights_are_the_gradient_of_a_linear_classifier(before, classes):
    texts, labels = rows(90)
    labels = [f"{label}{i % 3 == 0}" if classes == 3 and label == "spam" else label for i, label in enumerate(labels)]
    pipeline = make_pipeline(*before, LogisticRegression()).fit(texts, labels)
    violating = [c != "benign" for c in pipeline.classes_]
    swaps = LinearSwaps(pipeline, violating, "target 'x'")
    text = "free prize lunch claim home"
    said = swaps.gains(text, spans_of(text), WORDS[:7])
    p = pipeline.predict_proba([text, *(text[:a] + w + text[b:] for a, b in spans_of(text) for w in WORDS[:7])])
    odds = np.log(p[:, violating].sum(1) / p[:, ~np.array(violating)].sum(1))
    assert spearmanr(said.ravel(), odds[0] - odds[1:])[0] > 0.8


@pytest.mark.parametrize("pipeline", [
    make_pipeline(TfidfVectorizer(), RandomForestClassifier(n_estimators=3)), make_pipeline(TfidfVectorizer(), MultinomialNB()),
    make_pipeline(HashingVectorizer(n_features=64), RidgeClassifier()),
], ids=["forest", "bayes", "hashing"])  # fmt: skip
def test_a_pipeline_without_known_gradients_says_so(pipeline):
    pipeline.fit(*rows())
    with pytest.raises(JobError, match="target 'x': gradients are known of a linear classifier over counts or TF-IDF"):
        LinearSwaps(pipeline, [False, True], "target 'x'")
