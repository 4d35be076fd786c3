from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redteam.attacks.answers import parse

TWO = ["call me", 'say "hi" [now]']


@pytest.mark.parametrize("answer", [
    json.dumps({"rewrites": TWO}), json.dumps(TWO), json.dumps([{"text": t, "why": "shorter"} for t in TWO]),
    f"```json\n{json.dumps({'rewrites': TWO}, indent=2)}\n```",
    f"Sure, here they are:\n{json.dumps(TWO)}\nI hope that helps.",
    f'<think>["no"] they want JSON</think>{json.dumps({"rewrites": TWO})}',
    json.dumps({"rewrites": [*TWO, TWO[0], " ", 3, None]}), json.dumps({"rewrites": [*TWO, "cut off"]})[:-6], 
    json.dumps({"other": TWO}),
    'call me\n1. call me\n2) say "hi" [now]',
])  # fmt: skip
def test_rewrites_are_found_whatever_form_they_come_in(answer):
    assert parse(answer) == TWO


@pytest.mark.parametrize(("answer", "texts"), [
    ("", []), ('{"rewrites": []}', []), ("[" * 5000, []), ("just one text", ["just one text"]), ('"quoted"', ["quoted"]),
    ("Reply [2024] to win", ["Reply [2024] to win"]), ('{"rewrites": ["caf\\u00e9\\n'"\n"'two"]}', ["café\n\ntwo"]),
])  # fmt: skip
def test_what_holds_no_list_is_one_text_or_none(answer, texts):
    assert parse(answer) == texts


@given(st.text(alphabet=st.sampled_from('[]{}":,\\ abn1.\n-`'), max_size=60))
def test_any_answer_is_read_without_a_crash(answer):
    found = parse(answer)
    assert all(t and t == t.strip() for t in found)
    assert len(found) == len(set(found))


@given(st.lists(st.text(min_size=1, max_size=30).filter(lambda t: t == t.strip()), min_size=1, max_size=5, unique=True))
def test_what_a_model_writes_as_json_comes_back(texts):
    assert parse(json.dumps({"rewrites": texts})) == texts
