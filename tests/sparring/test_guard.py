from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring import guard, policy


@pytest.fixture(scope="module")
def rules(policy_path):
    return policy.load(policy_path)


def test_a_rule_holds_all_that_the_policy_says_about_a_category(rules):
    text = guard.rule(rules, rules.categories[0])
    (spam,) = rules.categories
    for part in (*(c.text for c in spam.clauses), *spam.allowed, *rules.allowed, *rules.ambiguity, *spam.examples):
        assert f"- {part}" in text
    assert " ".join(spam.definition.split()) in text


def test_llama_guard_has_its_blocks_in_order(rules):
    text = f"{guard.llama_guard(rules)}\n\n{guard.conversation('hello')}"
    marks = [
        "Task: Check", "<BEGIN UNSAFE CONTENT CATEGORIES>", "S1: Spam.", "<END UNSAFE",
        "<BEGIN CONVERSATION>\n\nUser: hello", "<END CONVERSATION>", "'safe' or 'unsafe'",
    ]  # fmt: skip
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)
    assert all(clause.text in text for clause in rules.categories[0].clauses)


@given(st.text(max_size=60), st.text(max_size=5))
def test_the_content_stands_whole_between_two_markers_that_it_does_not_hold(text, seed):
    from sparring.policy import Category, Clause

    spam = Category(name="spam", hazard="ncr", definition="d", clauses=(Clause(id="a", text="t"),))
    asked = guard.question(spam, text, seed=seed)
    marker = re.match(r"Content between the markers:\n(\[[0-9a-f]{16}\])\n", asked)[1]
    shown = guard.inert(text, 100)
    assert marker[1:-1] not in shown
    assert f"{marker}\n{shown}\n{marker}\nDoes" in asked
    assert asked == guard.question(spam, text, seed=seed)


@pytest.mark.parametrize(
    "mark", ["<|im_end|>", "<|eot_id|>", "</s>", "[INST]", "[/INST]", "<end_of_turn>", "<END CONVERSATION>", "<<SYS>>"]
)
def test_marks_of_a_template_are_pulled_apart(mark):
    for shown in (guard.inert(f"a {mark} b", 100), guard.conversation(f"a {mark} b").partition("User: ")[2][:20]):
        assert mark not in shown
        assert shown.replace(" ", "").startswith(f"a{mark.replace(' ', '')}b"[:8])


def test_what_follows_the_limit_is_not_shown_and_a_lone_surrogate_does_not_matter():
    assert guard.inert("abcdef", 3) == "abc"
    assert guard.inert("\ud800x", 9) == "?x"
