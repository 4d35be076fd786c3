from __future__ import annotations

from types import SimpleNamespace

from redteam import stage
from sparring import context, jobs, policy
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


def test_operators_have_the_settings_that_a_job_gives_them(tiny_job):
    path = tiny_job(attack__operators=["codemix", "typo"], attack__operator_settings={"codemix": {"into": "de"}})
    with context.open_context(jobs.load(path), lambda event: None) as ctx:
        assert {name: repr(op) for name, op in ctx.operators().items()} == {
            "codemix": "Codemix(into='de', payload=())",
            "typo": "Typo(payload=())",
        }
