"""The http target against a real server on loopback (conftest.py)."""

from __future__ import annotations

import time

import numpy as np
import pytest
from aiohttp import web

from sparring import registry
from sparring.errors import JobError, SparringError, TargetFailed, UserError

NAMES = ("benign", "spam", "threat")
KEY = "sk-very-secret-42"
TEXTS = ["free prize", "see you at lunch", "kill the lights", "free lunch", "prize", "bus home", "cash winner now"]
SPAM = [1.0, 0.0, 0.0, 0.5, 1.0, 0.0, 2 / 3]


@pytest.fixture
def many(server):
    """A target that sends lists; settings go on top."""

    def make(**settings):
        known = {
            "url": f"{server.url}/many", "request": {"model": "m", "input": "{texts}"}, "backoff": 0.001, "batch_size": 3,
            "scores": {name: f"results[*].category_scores.{name}" for name in ("spam", "threat")},
        }  # fmt: skip
        return registry.make("target", "http", **known | settings).with_labels(NAMES)

    return make


@pytest.fixture
def one(server):
    """A target that sends one text a request."""

    def make(**settings):
        known = {
            "url": f"{server.url}/one", "request": {"text": "{text}", "options": [{"lang": "en"}, 3]}, "backoff": 0.001,
            "scores": {name: f"result[label={name}].score" for name in ("spam", "threat")},
        }  # fmt: skip
        return registry.make("target", "http", **known | settings).with_labels(NAMES)

    return make


def refuse(word: str, status: int):
    """A fault for every request with this word in a text, however often it is tried."""

    def fault(number, body):
        texts = body.get("input") or [body.get("text")]
        return web.json_response({"error": {"message": "no luck"}}, status=status) if any(word in t for t in texts) else None

    return fault


def test_lists_are_sent_in_batches_and_come_back_in_order(many, server):
    server.delay = 0.01
    p = many().predict_proba(TEXTS)
    np.testing.assert_allclose(p[:, 1], SPAM, atol=1e-6)
    np.testing.assert_allclose(p[:, 0], 1 - p[:, 1:].max(1), atol=1e-6)
    assert sorted(len(body["input"]) for body in server.bodies) == [1, 3, 3]
    assert [t for body in sorted(server.bodies, key=lambda b: TEXTS.index(b["input"][0])) for t in body["input"]] == TEXTS
    assert {body["model"] for body in server.bodies} == {"m"}


def test_one_text_a_request_and_the_rest_of_the_template_as_it_is(one, server):
    np.testing.assert_allclose(one().predict_proba(TEXTS)[:, 1], SPAM, atol=1e-6)
    assert len(server.bodies) == len(TEXTS)
    assert all(body["options"] == [{"lang": "en"}, 3] for body in server.bodies)


def test_a_text_stands_in_the_template_unescaped_whatever_it_holds(one, server):
    odd = '{"a": "{text}"} {texts} \\ \n ${HOME} free'
    one(request={"text": "Rate: {text}"}).predict_proba([odd])
    assert server.bodies[0]["text"] == f"Rate: {odd}"


def test_the_openai_moderation_shape(server, monkeypatch):
    target = registry.make(
        "target", "http", shape="openai-moderation", url=f"{server.url}/many", labels={"harassment": "threat", "hate": "threat"}
    )
    target.check(NAMES)
    server.fault = lambda number, body: web.json_response(
        {"results": [{"category_scores": {"harassment": 0.2 * i, "hate": 0.3, "violence": 0.9}} for i in range(3)]}
    )
    p = target.with_labels(NAMES).predict_proba(["a", "b", "c"])
    np.testing.assert_allclose(p[:, 2], [0.3, 0.3, 0.4], atol=1e-6)
    assert server.bodies == [{"model": "omni-moderation-latest", "input": ["a", "b", "c"]}]
    assert "Authorization" not in server.headers[0], "the key of one service goes to no other"
    own = registry.make("target", "http", shape="openai-moderation")
    assert (own.settings.url, own.settings.headers) == (
        "https://api.openai.com/v1/moderations", {"Authorization": "Bearer ${OPENAI_API_KEY}"},
    )  # fmt: skip
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match="export OPENAI_API_KEY"):
        own.check(NAMES)


def test_a_moderation_service_with_its_own_thresholds(many):
    target = many(thresholds={"spam": 0.9, "threat": 0.2})
    p = target.predict_proba(["kill the big lights", "free lunch", "free prize"])  # threat 1/4; spam 1/2; spam 1
    assert ((1 - p[:, 0]) > target.threshold).tolist() == [True, False, True]


def test_scores_are_divided_by_the_services_maximum(one, server):
    server.fault = lambda number, body: web.json_response({"categories": [{"name": "Spam", "severity": 3}]})
    target = one(scores={"spam": "categories[name=Spam].severity"}, maximum=6)
    np.testing.assert_allclose(target.predict_proba(["x"]), [[0.5, 0.5, 0]], atol=1e-6)


def test_passing_faults_are_tried_again(many, server):
    faults = {
        0: web.Response(status=429, headers={"Retry-After": "0"}), 1: web.Response(status=500), 2: "reset", 3: "slow",
        4: web.Response(status=408),
    }  # fmt: skip
    server.fault = lambda number, body: faults.get(number)
    np.testing.assert_allclose(many(timeout=0.5, concurrency=2).predict_proba(TEXTS)[:, 1], SPAM, atol=1e-6)
    assert len(server.bodies) == 3 + 5


def test_retry_after_is_waited_for(one, server):
    server.fault = lambda number, body: web.Response(status=429, headers={"Retry-After": "0.3"}) if number == 0 else None
    started = time.monotonic()
    one().predict_proba(["x"])
    assert time.monotonic() - started > 0.3


@pytest.mark.parametrize("status", [500, 400, 413, 422])
@pytest.mark.parametrize("kind", ["many", "one"])
def test_a_text_that_cannot_be_answered_is_a_row_of_nan_and_the_others_are_kept(kind, status, many, one, server):
    server.fault = refuse("lunch", status)
    p = {"many": many, "one": one}[kind](retries=1).predict_proba(TEXTS)
    assert np.isnan(p).all(1).tolist() == ["lunch" in t for t in TEXTS]
    np.testing.assert_allclose(p[:, 1][~np.isnan(p[:, 1])], [s for s, t in zip(SPAM, TEXTS, strict=True) if "lunch" not in t])
    assert np.isnan({"many": many, "one": one}[kind](retries=1).predict_proba(["lunch"])).all(), "alone in its batch too"


def test_an_answer_without_the_score_is_a_row_of_nan(one, server):
    server.fault = lambda number, body: web.json_response({"result": []}) if body["text"] == "prize" else None
    assert np.isnan(one().predict_proba(TEXTS)).all(1).tolist() == [t == "prize" for t in TEXTS]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (web.Response(status=503), "within 2 tries; the last gave status 503"),
        ("reset", "within 2 tries; the last gave"),
        (web.json_response({"error": {"message": "no such model"}}, status=400), "status 400 no such model. Fix: `request`"),
        (web.json_response({"outcome": {"text": "free prize"}}), "found no 'results' in an object with the keys outcome"),
        (web.json_response({"results": []}), "expected an answer for each of 3 texts, got 0"),
        (web.json_response({"results": [{"category_scores": {"spam": "?", "threat": 0}}] * 3}), "expected JSON with numbers"),
        (web.Response(text="<html>"), "expected JSON with numbers"),
    ],
    ids=str,
)  # fmt: skip
def test_an_endpoint_that_answers_nothing_ends_the_work_with_the_reason(many, server, fault, said):
    server.fault = lambda number, body: web.Response(status=fault.status, body=fault.body) if fault != "reset" else fault
    with pytest.raises(TargetFailed, match=said) as raised:
        many(retries=1, batch_size=3).predict_proba(TEXTS[:3])
    assert raised.value.exit_code == 1
    assert "free prize" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "fix"),
    [(401, "a valid key into MY_KEY"), (403, "what the key in MY_KEY may do"), (404, "check `url`"), (307, "redirects")],
)
def test_an_authentication_error_fails_at_once_with_the_fix_and_without_the_key(many, server, monkeypatch, status, fix):
    monkeypatch.setenv("MY_KEY", KEY)
    said = {"error": {"message": f"bad key {KEY}"}}
    server.fault = lambda number, body: web.json_response(said, status=status, headers={"Location": f"{server.url}/one"})
    with pytest.raises(UserError, match=fix) as raised:
        many(headers={"Authorization": "Bearer ${MY_KEY}"}, concurrency=2, batch_size=1).predict_proba(TEXTS * 5)
    assert KEY not in str(raised.value)
    assert len(server.bodies) <= 4, "the others were not sent"


def test_headers_and_url_take_secrets_from_the_environment_alone(many, server, monkeypatch, tmp_path):
    monkeypatch.setenv("MY_KEY", KEY)
    target = many(headers={"Ocp-Apim-Subscription-Key": "${MY_KEY}", "X-Team": "tns"}, url=f"{server.url}/many?key=${{MY_KEY}}")
    target.check(NAMES)
    target.predict_proba(["x"])
    assert (server.headers[0]["Ocp-Apim-Subscription-Key"], server.headers[0]["X-Team"]) == (KEY, "tns")
    target.save(tmp_path / "target")
    shown = f"{target!r} {vars(target)} {(tmp_path / 'target' / 'target.json').read_text(encoding='utf-8')}"
    assert KEY not in shown
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(UserError, match="environment variable MY_KEY, it is not set"):
        target.check(NAMES)


@pytest.mark.parametrize(
    "wrong",
    [{"headers": {"Authorization": f"Bearer {KEY}"}}, {"headers": {"x-api-key": KEY}}, {"url": f"http://127.0.0.1/?api_key={KEY}"}],
    ids=lambda w: str(next(iter(w))),
)  # fmt: skip
def test_a_secret_in_the_job_is_refused_and_not_repeated(many, wrong):
    with pytest.raises(JobError, match=r"write .*\$\{VARIABLE\}") as raised:
        many(**wrong)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": ""}, "expected `url`, `request` and `scores`"),
        ({"scores": {}}, "expected `url`, `request` and `scores`"),
        ({"request": {"input": "nothing"}}, 'either "{text}" within'),
        ({"request": {"a": "{texts}", "b": "{text}"}}, 'either "{text}" within'),
        ({"scores": {"spam": "results[0].spam"}}, r"holds {texts}; expected a path with \[\*\] for spam"),
        ({"scores": {"spam": "results[*"}}, "in the path 'results"),
        ({"labels": {"spamm": "spam"}}, "Did you mean 'spam'"),
        ({"thresholds": {"spamm": 0.5}}, "Did you mean 'spam'"),
        ({"shape": "perspective"}, "shape: .*openai-moderation"),
        ({"rate": 0}, "rate: .*greater than 0"),
        ({"concurrency": 0}, "concurrency: .*greater than or equal to 1"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(many, wrong, said):
    with pytest.raises(JobError, match=said):
        many(**wrong)


def test_what_is_no_url_is_said_before_any_work(many):
    with pytest.raises(UserError, match="expected url as http://HOST/PATH"):
        many(url="ftp://127.0.0.1/x").check(NAMES)
    with pytest.raises(UserError, match="expected url as http://HOST/PATH") as raised:
        many(url=f"https://me:{KEY}@127.0.0.1/x").check(NAMES)
    assert KEY not in str(raised.value)


def test_no_more_requests_at_once_than_asked_for(one, server):
    server.delay = 0.02
    one(concurrency=3).predict_proba(TEXTS * 3)
    assert server.most_busy == 3


def test_no_more_requests_a_second_than_asked_for_over_several_calls(one):
    target, started = one(rate=20), time.monotonic()
    target.predict_proba(TEXTS[:4])
    target.predict_proba(TEXTS[:4])
    assert time.monotonic() - started >= 7 / 20 - 0.01


def test_an_absent_server_is_said(many):
    with pytest.raises(SparringError, match=r"Cannot connect to host 127\.0\.0\.1:9"):
        many(url="http://127.0.0.1:9/x", retries=0).predict_proba(["x"])
