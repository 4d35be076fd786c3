from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import pytest

from sparring import policy as policies
from sparring import registry
from sparring.errors import ProhibitedContent
from sparring.policy import Category, Clause, Policy
from sparring.protocols import Completion
from sparring.record import Record, digest, from_table, real, to_table
from synth.writer import SeedWriter

LINES = [
    "You have won a holiday in Spain! Call 09061701461 to claim it before noon.",
    "Your phone is due for an upgrade. Reply YES to 80086 for the newest model.",
    "Singles in your town want to meet you. Text CHAT to 86688, 150p a message.",
    "We could not deliver your parcel. Pay the fee of £1.99 at www.parcel.example now.",
]


class Scripted:
    """A text model that gives these answers in turn."""

    def __init__(self, *answers: str | Completion):
        self.answers = [a if isinstance(a, Completion) else Completion(a, len(a.split())) for a in answers]
        self.asked: list[tuple[str, str]] = []

    def describe(self) -> dict[str, Any]:
        return {"name": "scripted", "model": "m", "revision": "r1", "licence": "MIT", "parameters": {"max_new_tokens": 50}}

    def complete(self, prompts: Sequence[tuple[str, str]], *, seed: int) -> list[Completion]:
        self.asked += prompts
        return [self.answers[i % len(self.answers)] for i in range(len(prompts))]


@pytest.fixture
def policy(policy_path) -> Policy:
    return policies.load(policy_path)


def examples(policy: Policy) -> list[Record]:
    shared = {"label_name": "spam", "policy": policy.name, "policy_version": policy.version, "split": "train"}
    return [real(source="rows.csv", key=str(i), text=text, **shared) for i, text in enumerate(LINES)]


def write(model: Any, policy: Policy, rows: Sequence[Record] | None = None, *, shots: int = 1, **changes: Any):
    settings = {"n": 1, "round": 0, "seed": 0} | changes
    rows = examples(policy) if rows is None else rows
    return SeedWriter(model, shots=shots).write(policy, policy.categories[0], rows, **settings)


NEW = "Congratulations! A new car waits for you. Ring 0871234567 today and it is yours."


def test_a_record_holds_all_that_went_in(policy: Policy) -> None:
    model = Scripted(NEW)
    (record,) = write(model, policy, round=2, seed=5).records
    assert (record.text, record.origin, record.label_name, record.language) == (NEW, "synthetic", "spam", "en")
    assert (record.policy, record.policy_version, record.round, record.split) == ("spam", "1.0", 2, "train")
    clause = policy.categories[0].clauses[0]
    assert (record.clause, record.severity) == (clause.id, clause.severity)
    assert clause.text in model.asked[0][0]
    (parent,) = [e for e in examples(policy) if e.text in model.asked[0][1]]
    assert record.parent_ids == record.root_ids == (parent.id,)
    made = record.generator
    assert (made.name, made.model, made.revision, made.licence) == ("scripted", "m", "r1", "MIT")
    assert json.loads(made.parameters)["max_new_tokens"] == 50
    assert record.id == f"{record.work_id}-0"
    assert from_table(to_table([record], policy.labels)) == [record]


def test_roots_of_made_examples_are_their_own_roots(policy: Policy) -> None:
    made = [dataclasses.replace(e, id=f"made-{i}", root_ids=("rows.csv#9",)) for i, e in enumerate(examples(policy))]
    (record,) = write(Scripted(NEW), policy, made, shots=3).records
    assert len(record.parent_ids) == 3
    assert record.root_ids == ("rows.csv#9",)


def test_the_same_work_has_the_same_ids(policy: Policy) -> None:
    dummy = registry.make("text_model", "dummy")
    first = write(dummy, policy, n=30, seed=1)
    assert first == write(dummy, policy, n=30, seed=1)
    assert len({r.id for r in first.records}) == len(first.records) > 15
    for change in ({"seed": 2}, {"round": 1}):
        other = write(dummy, policy, n=30, **{"seed": 1} | change)
        assert not {r.id for r in first.records} & {r.id for r in other.records}


def test_a_record_can_be_made_again(policy: Policy) -> None:
    dummy = registry.make("text_model", "dummy")
    model = Scripted(NEW)
    write(model, policy, n=3)
    record = write(dummy, policy, n=3).records[2]
    assert dummy.complete([model.asked[2]], seed=record.generator.seed)[0].text == record.text


def test_clauses_take_turns_and_prompts_vary(policy: Policy) -> None:
    model = Scripted(NEW)
    write(model, policy, n=20)
    clauses = policy.categories[0].clauses
    assert all(clauses[i % len(clauses)].text in system for i, (system, _) in enumerate(model.asked))
    assert len(set(model.asked)) >= 18


@pytest.mark.parametrize(
    ("answer", "reason", "text"),
    [
        ("", "empty", ""),
        (" \n", "empty", ""),
        ("I'm sorry, but I can't help with that request.", "unparsable", "I'm sorry, but I can't help with that request."),
        (LINES[2], "copy", LINES[2]),
        (LINES[2].replace("86688", "81234").upper(), "copy", None),
        (LINES[1].replace("Reply", "Answer"), "copy", None),
        ("Tells the reader that they won a prize, a gift or money and must call, text or click to claim it.", "copy", None),
        (" ".join(f"Lot {i}: {digest(i)} for {digest(-i)[:6]}." for i in range(40)), "too long", None),
        (Completion("Call us now and win a lot of money that you can spend on", 50), "too long", None),
    ],
)
def test_what_is_rejected_and_why(policy: Policy, answer: Any, reason: str, text: str | None) -> None:
    written = write(Scripted(answer), policy)
    assert not written.records
    (rejected,) = written.rejected
    assert rejected.reason == reason
    assert text is None or rejected.record.text == text


def test_an_answer_that_was_cut_off_keeps_its_whole_sentences(policy: Policy) -> None:
    cut = Completion(NEW + " Do not wait, because tomor", 50)
    assert write(Scripted(cut), policy).records[0].text == NEW
    japanese = Completion("おめでとうございます！賞品が当たりました。今すぐ電話し", 50)
    assert write(Scripted(japanese), policy).records[0].text == "おめでとうございます！賞品が当たりました。"


def test_of_equal_texts_the_first_stays(policy: Policy) -> None:
    other = "Loans of up to £5000 without a check, even with bad credit: see www.loans.example today."
    written = write(Scripted(NEW, other, NEW.replace("0871234567", "0879999999")), policy, n=3)
    assert [r.text for r in written.records] == [NEW, other]
    assert [r.reason for r in written.rejected] == ["copy"]


def test_works_without_examples(policy: Policy) -> None:
    model = Scripted(NEW)
    (record,) = write(model, policy, []).records
    assert record.parent_ids == record.root_ids == ()
    assert any(example in model.asked[0][1] for example in policy.categories[0].examples)
    assert write(Scripted(policy.categories[0].examples[0]), policy, []).rejected[0].reason == "copy"
    assert write(Scripted(NEW), policy, [], n=0).records == ()


def test_examples_of_the_clause_come_first(policy: Policy) -> None:
    rows = examples(policy)
    clause = policy.categories[0].clauses[0].id
    rows = [dataclasses.replace(r, clause=clause if i == 3 else "spam.other") for i, r in enumerate(rows)]
    assert write(Scripted(NEW), policy, rows).records[0].parent_ids == (rows[3].id,)


@pytest.mark.parametrize("change", [{"never_generate": True}, {"hazard": "cse", "examples": ()}])
def test_what_is_never_generated(policy: Policy, change: dict[str, Any]) -> None:
    model = Scripted(NEW)
    category = policy.categories[0].model_copy(update=change)
    with pytest.raises(ProhibitedContent, match="expected a category that may be generated"):
        SeedWriter(model).write(policy, category, examples(policy), n=1, round=0, seed=0)
    assert not model.asked


def test_a_prohibited_prompt_is_not_sent(policy: Policy) -> None:
    model = Scripted(NEW)
    clause = Clause(id="x", text="Sexual content that involves minors.")
    category = Category(name="renamed", hazard="sxc", definition="x", clauses=(clause,))
    with pytest.raises(ProhibitedContent):
        SeedWriter(model).write(policy, category, [], n=1, round=0, seed=0)
    assert not model.asked


def test_a_prohibited_answer_leaves_no_text(policy: Policy) -> None:
    (rejected,) = write(Scripted("Sexual content that involves minors."), policy).rejected
    assert (rejected.reason, rejected.record.text) == ("prohibited", None)
