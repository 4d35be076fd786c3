"""Fitted scikit-learn classifiers from a file, as teams have them."""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sparring import registry
from sparring.errors import JobError, ReferenceNotFound, TargetFailed

TEXTS = ["free prize", "lunch home", "bus cash"]
MAP = {"ham": "benign", "spam": "spam"}


@pytest.fixture
def target(tmp_path):
    def make(saved, dump=skops.io.dump, labels=MAP, names=("benign", "spam"), **settings):
        dump(saved, tmp_path / "model.bin")
        return registry.make(
            "target", "sklearn_file", model=str(tmp_path / "model.bin"), labels=labels, **settings
        ).with_labels(names)

    return make  # fmt: skip


def pickled(saved, path):
    path.write_bytes(pickle.dumps(saved))


def test_probabilities_are_the_pipelines_own(target, spam_pipeline):
    pipeline = spam_pipeline(LogisticRegression())
    np.testing.assert_allclose(target(pipeline).predict_proba(TEXTS), pipeline.predict_proba(TEXTS), atol=1e-7)


@pytest.mark.parametrize("dump", [joblib.dump, pickled])
def test_a_pickle_loads_only_with_trust_and_the_error_says_why(target, spam_pipeline, dump):
    pipeline = spam_pipeline(LogisticRegression())
    for use in (lambda t: t.check(("benign", "spam")), lambda t: t.predict_proba(TEXTS)):
        with pytest.raises(JobError, match=r"a pickle can run any code, or crash, when it is loaded. Fix: .*`trust: true`"):
            use(target(pipeline, dump))
    trusted = target(pipeline, dump, trust=True)
    np.testing.assert_allclose(trusted.predict_proba(TEXTS), pipeline.predict_proba(TEXTS), atol=1e-7)


def test_without_trust_nothing_of_a_pickle_runs(target, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    bombed = target(Bomb(), pickled)
    with pytest.raises(JobError, match="trust"):
        bombed.predict_proba(TEXTS)
    assert not (tmp_path / "ran").exists()


def test_a_skops_file_with_types_that_skops_warns_of_needs_trust_too(target, spam_pipeline):
    forest = spam_pipeline(RandomForestClassifier(n_estimators=5, random_state=0))
    with pytest.raises(JobError, match=r"types that skops warns of \(sklearn\.tree\._tree\.Tree\)"):
        target(forest).check(("benign", "spam"))
    np.testing.assert_allclose(target(forest, trust=True).predict_proba(TEXTS), forest.predict_proba(TEXTS), atol=1e-7)


def test_decision_scores_go_through_a_sigmoid_and_keep_their_side(target, spam_pipeline):
    pipeline = spam_pipeline(LinearSVC())
    decision = pipeline.decision_function(TEXTS)
    p = target(pipeline).predict_proba(TEXTS)
    np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-decision)), atol=1e-6)
    assert ((p[:, 1] > 0.5) == (decision > 0)).all()


def test_decision_scores_of_several_classes_go_through_softmax():
    texts, labels = ["lunch home", "free prize", "kill"] * 2, ["ok", "spam", "threat"] * 2
    pipeline = make_pipeline(TfidfVectorizer(), SGDClassifier(loss="hinge", random_state=0)).fit(texts, labels)
    from sparring.targets.sklearn_file import _answer

    classes, p = _answer(pipeline, texts)
    assert classes == ("ok", "spam", "threat")
    np.testing.assert_allclose(p.sum(1), 1)
    assert [classes[i] for i in p.argmax(1)] == labels


@pytest.mark.parametrize("several", [OneVsRestClassifier, MultiOutputClassifier])
def test_a_multi_label_classifier_answers_with_a_score_for_each_label(target, several):
    texts, y = ["lunch home", "free prize", "kill", "free kill"], np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    pipeline = make_pipeline(TfidfVectorizer(), several(LogisticRegression(C=100))).fit(texts, y)
    names = ("benign", "spam", "threat")
    p = target(pipeline, labels={0: "spam", 1: "threat"}, names=names).predict_proba(texts)
    assert (p[:, 1:] > 0.5).astype(int).tolist() == y.tolist()
    np.testing.assert_allclose(p[:, 0], 1 - p[:, 1:].max(1), atol=1e-6)


def test_classes_that_are_numbers_are_named_as_yaml_reads_them(target, spam_pipeline):
    pipeline = spam_pipeline(LogisticRegression(), labels=(0, 1))
    made = target(pipeline, labels={0: "benign", 1: "spam"})
    np.testing.assert_allclose(made.predict_proba(TEXTS), pipeline.predict_proba(TEXTS), atol=1e-7)
    assert made.settings.labels == {"0": "benign", "1": "spam"}


def test_an_estimator_that_takes_no_texts_is_said_without_the_text(target):
    model = LogisticRegression().fit([[0.0], [1.0]], ["ham", "spam"])
    with pytest.raises(TargetFailed, match="raised ValueError; expected one that takes a list of raw texts") as raised:
        target(model).predict_proba(["free prize"])
    assert "free" not in str(raised.value)


@pytest.mark.parametrize(
    ("saved", "said"),
    [(TfidfVectorizer(), "found TfidfVectorizer"), ({"pipeline": 1}, "found dict")],
    ids=["vectorizer", "dict"],
)
def test_what_is_no_classifier_is_refused(target, saved, said):
    with pytest.raises(JobError, match=said):
        target(saved, pickled, trust=True).predict_proba(TEXTS)


def test_a_damaged_file_is_said(target, tmp_path):
    made = target({}, pickled, trust=True)
    (tmp_path / "model.bin").write_bytes(b"not a pickle")
    with pytest.raises(JobError, match="could not be loaded"):
        made.predict_proba(TEXTS)
    with pytest.raises(ReferenceNotFound, match="expected a file or folder"):
        registry.make("target", "sklearn_file", model="no/such/file").check(("benign", "spam"))
