"""Any Python function as a target: two real packages from PyPI, and every shape of answer."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from sparring import registry
from sparring.errors import JobError, RowsFailed, TargetFailed
from sparring.protocols import PATIENCE, violation_scores

NAMES = ("benign", "spam", "threat")
TEXTS = ["free prize", "see you", "kill"]
VALUES = [0.9, 0.1, 0.4]


@pytest.fixture
def answering(monkeypatch):
    """A target whose function gives `answer`; what it was asked stands in `asked`."""
    module = types.ModuleType("some_classifier")
    module.__spec__ = types.SimpleNamespace(origin=None, name="some_classifier")
    monkeypatch.setitem(sys.modules, "some_classifier", module)
    asked = []

    def make(answer, **settings):
        module.score = lambda texts, **given: (asked.append((texts, given)), answer(texts) if callable(answer) else answer)[1]
        settings = {"call": "some_classifier:score", "trust": True} | settings
        return registry.make("target", "python", **settings).with_labels(NAMES)

    make.asked = asked
    return make


def test_alt_profanity_check_as_it_comes_from_pypi():
    import profanity_check

    target = registry.make("target", "python", call="profanity_check:predict_prob", trust=True)
    target.check(("benign", "profane"))
    texts = ["have a nice day", "go fuck yourself you piece of shit", ""]
    p = target.with_labels(("benign", "profane")).predict_proba(texts)
    np.testing.assert_allclose(p[:, 1], profanity_check.predict_prob(texts), atol=1e-6)
    assert p[1, 1] > 0.9 > 0.3 > p[0, 1]


def test_vader_sentiment_as_it_comes_from_pypi():
    """A method of an object, one text a call, a dict of scores; one of them, outside [0, 1], is not asked for."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    target = registry.make(
        "target", "python", call="vaderSentiment.vaderSentiment:SentimentIntensityAnalyzer.polarity_scores",
        one_by_one=True, labels={"neg": "hostile"}, trust=True,
    ).with_labels(("benign", "hostile"))  # fmt: skip
    texts = ["I love you, wonderful", "I hate you, horrible idiot", "a table"]
    own = SentimentIntensityAnalyzer()
    np.testing.assert_allclose(target.predict_proba(texts)[:, 1], [own.polarity_scores(t)["neg"] for t in texts], atol=1e-6)


@pytest.mark.parametrize(
    ("answer", "settings"),
    [
        (VALUES, {"labels": {"score": "spam"}}),
        (np.array(VALUES)[:, None], {"labels": {"score": "spam"}}),
        ([[1 - v, v] for v in VALUES], {"classes": ["ok", "bad"], "labels": {"ok": "benign", "bad": "spam"}}),
        ([{"spam": v} for v in VALUES], {}),
        ([{"spam": 0.9}, {"spam": 0.1, "threat": 0.0}, {"spam": 0.4}], {}),
        ({"spam": VALUES, "threat": [0, 0, 0]}, {}),
        ([90, 10, 40], {"labels": {"score": "spam"}, "maximum": 100}),
        ((v for v in VALUES), {"labels": {"score": "spam"}}),
    ],
    ids=["list", "column", "two columns", "dicts", "sparse dicts", "dict of lists", "percent", "generator"],
)
def test_every_shape_of_answer(answering, answer, settings):
    p = answering(answer, **settings).predict_proba(TEXTS)
    np.testing.assert_allclose(p, [[1 - v, v, 0] for v in VALUES], atol=1e-6)


def test_one_by_one_asks_with_a_text_and_otherwise_with_the_list(answering):
    answering(VALUES, labels={"score": "spam"}).predict_proba(TEXTS)
    answering(lambda text: 0.5, labels={"score": "spam"}, one_by_one=True, arguments={"lang": "en"}).predict_proba(TEXTS)
    assert answering.asked == [(TEXTS, {}), *((t, {"lang": "en"}) for t in TEXTS)]


def test_a_class_is_made_once_with_its_arguments(answering):
    made = []

    class Model:
        def __init__(self, size):
            made.append(size)

        def predict(self, texts):
            return [0.5] * len(texts)

        __call__ = predict

    target = answering(None, call="some_classifier:Model.predict", arguments={"size": 3}, labels={"score": "spam"})
    sys.modules["some_classifier"].Model = Model
    target.predict_proba(TEXTS)
    assert target.predict_proba(TEXTS)[0, 1] == 0.5
    itself = answering(None, call="some_classifier:Model", arguments={"size": 4}, labels={"score": "spam"})
    assert itself.predict_proba(TEXTS)[0, 1] == 0.5
    assert made == [3, 4]


def test_without_trust_nothing_is_imported():
    sys.modules.pop("antigravity", None)
    with pytest.raises(JobError, match=r"is code that runs with your rights\. Fix: .*`trust: true`"):
        registry.make("target", "python", call="antigravity:fly")
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("no_such_module:f", "the Python module no_such_module is not installed"),
        ("no_such.module:f", "the Python module no_such.module is not installed"),
        ("profanity_check", "call: String should match"),
    ],
)
def test_what_is_not_there_is_said_before_any_work(call, said):
    with pytest.raises(JobError, match=said):
        registry.make("target", "python", call=call, trust=True).check(NAMES)


@pytest.mark.parametrize(
    ("answer", "settings", "error", "said"),
    [
        (VALUES[:2], {"labels": {"score": "spam"}}, TargetFailed, "expected 3 answers of some_classifier:score, got 2"),
        (TEXTS, {"labels": {"score": "spam"}}, TargetFailed, r"got list with something else \(ValueError\)"),
        (None, {"labels": {"score": "spam"}}, TargetFailed, "got NoneType with"),
        ([{"label": "spam", "score": 0.9}] * 3, {}, TargetFailed, "got list with"),
        ([[0.1, 0.9]] * 3, {}, JobError, "answers with 2 columns. Fix: name them in `classes`"),
        ([90, 10, 40], {"labels": {"score": "spam"}}, TargetFailed, r"expected scores in \[0, 1\], got 10 to 90"),
        (VALUES, {"call": "some_classifier:scored"}, JobError, "some_classifier has no scored"),
    ],
)
def test_an_answer_that_cannot_be_used_is_said_without_the_text(answering, answer, settings, error, said):
    with pytest.raises(error, match=said) as raised:
        answering(answer, **settings).predict_proba(TEXTS)
    assert "free prize" not in str(raised.value)


def test_the_files_content_is_part_of_what_a_target_is(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_rules.py").write_text("def score(texts): return [0.5] * len(texts)\n", encoding="utf-8")
    target = registry.make("target", "python", call="my_rules:score", trust=True)
    before = target.content()
    assert before["call"]
    (tmp_path / "my_rules.py").write_text("def score(texts): return [0.9] * len(texts)  # changed\n", encoding="utf-8")
    assert target.content() != before


def test_a_text_that_the_function_raises_for_is_the_only_row_lost(answering):
    def fussy(texts):
        if "kill" in texts:
            raise ValueError("kill is too long")
        return [{"spam": 0.9 if "prize" in t else 0.1} for t in texts]

    target = answering(fussy)
    with pytest.raises(RowsFailed, match="raised ValueError") as error:
        target.predict_proba(TEXTS)
    assert "too long" not in str(error.value)  # what it says may hold a text
    scores = violation_scores(target, [*TEXTS, "a free prize"], failed_ok=True)
    np.testing.assert_allclose(scores, [0.9, 0.1, np.nan, 0.9], atol=1e-6)
    with pytest.raises(RowsFailed):
        violation_scores(target, TEXTS)


def test_a_function_that_raises_for_every_text_is_given_up_on(answering):
    def broken(texts):
        raise RuntimeError

    with pytest.raises(RowsFailed):
        violation_scores(answering(broken), [f"text {i}" for i in range(1000)], failed_ok=True)
    assert sum(len(texts) == 1 for texts, _ in answering.asked) == PATIENCE
