from __future__ import annotations

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from redteam import stage
from sparring import context, jobs, measure, policy, retrain
from sparring.console import before_and_after
from sparring.record import Generator, synthetic


def test_rows_of_a_category_that_may_not_be_generated_are_not_attacked(policy_path, monkeypatch):
    rules = policy.load(policy_path)
    closed = rules.model_copy(
        update={"categories": tuple(c.model_copy(update={"never_generate": True}) for c in rules.categories)}
    )
    rows = [
        synthetic(
            work=[i],
            text=text,
            label_name="spam",
            policy=rules.name,
            policy_version=rules.version,
            generator=Generator(name="test"),
            split="train",
        )
        for i, text in enumerate(("win cash now", "claim a prize"))
    ]
    assert stage.attackable(SimpleNamespace(policy=rules), rows) == rows
    assert stage.attackable(SimpleNamespace(policy=closed), rows) == []
    monkeypatch.setattr(stage, "is_prohibited", lambda text: "prize" in text)
    assert stage.attackable(SimpleNamespace(policy=rules), rows) == rows[:1]


class Wavering:
    """A target of which every call answers a little otherwise; nothing else of it counts."""

    def __init__(self, target):
        self.target, self.calls = target, 0

    def __getattr__(self, name):
        return getattr(self.target, name)

    def predict_proba(self, samples):
        self.calls += 1
        p = self.target.predict_proba(samples)
        moved = np.clip(p[:, :1] + 0.01 * (self.calls % 3), 0, 1)
        return np.concatenate([moved, 1 - moved], 1).astype(np.float32)


@pytest.mark.parametrize("strategy", ["greedy", "learned", "transfer"])
@pytest.mark.parametrize("wavers", [True, False])
def test_a_target_that_answers_otherwise_next_time_is_said_whatever_the_strategy(tiny_job, strategy, wavers):
    path = tiny_job(attack__strategy={"kind": strategy}, attack__budget=4, attack__warmup=100)
    with context.open_context(jobs.load(path), lambda event: None) as ctx:
        trained = retrain.fit(ctx, "target", ctx.corpus.by("train"), seed=0)
        trained = replace(trained, target=Wavering(trained.target)) if wavers else trained
        known = stage.learn(ctx, "attacker.json", trained)
        results = stage.attack(ctx, "outcomes/test", trained, known, ctx.corpus.by("test", violating=True)[:9], round=0)
        found = measure.everything(ctx, trained, known, results, results)
    assert max(r.queries for r in results) <= 4, "looking twice costs no seed a query"
    if wavers:
        assert 0.009 < found["unsteady"] < 0.021
    else:
        assert found["unsteady"] == 0
    said = Console(record=True, width=100, file=io.StringIO())
    entry = {"round": 0, "promoted": None, **found}
    said.print(before_and_after({"name": "tiny", "rounds": [entry]}))
    assert ("answers differently for the same input" in " ".join(said.export_text().split())) == wavers


def test_operators_have_the_settings_that_a_job_gives_them(tiny_job):
    path = tiny_job(attack__operators=["codemix", "typo"], attack__operator_settings={"codemix": {"into": "de"}})
    with context.open_context(jobs.load(path), lambda event: None) as ctx:
        assert {name: repr(op) for name, op in ctx.operators().items()} == {
            "codemix": "Codemix(into='de', payload=())",
            "typo": "Typo(payload=())",
        }
