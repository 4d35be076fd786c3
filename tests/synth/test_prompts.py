from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring.policy import Category, Clause, Policy
from synth.prompts import LONGEST, parse, render

CLAUSE = Clause(id="x.1", text="Ruft zu Gewalt gegen eine Gruppe auf.", severity=4)
CATEGORY = Category(name="threat", hazard="vcr", definition="Drohungen", clauses=(CLAUSE,))
POLICY = Policy(name="p", version="1", description="d", language="de-AT", categories=(CATEGORY,))


def test_the_prompt_holds_the_clause_the_language_and_the_examples() -> None:
    system, user = render(POLICY, CATEGORY, CLAUSE, ["Erstes Beispiel"], variant=0)
    assert CLAUSE.text in system
    assert user.endswith("Erstes Beispiel")
    several = render(POLICY, CATEGORY, CLAUSE, ["Eins", "Zwei", "Drei"], variant=0)[1]
    assert all(word in several for word in ("Eins", "Zwei", "Drei"))
    alone = " ".join(render(POLICY, CATEGORY, CLAUSE, [], variant=0))
    assert "German" in alone
    assert CLAUSE.text in alone


def test_variants_differ_and_repeat() -> None:
    for examples in (["Beispiel"], []):
        prompts = [render(POLICY, CATEGORY, CLAUSE, examples, variant=i) for i in range(200)]
        assert 20 <= len(set(prompts)) <= 100
        assert prompts == [render(POLICY, CATEGORY, CLAUSE, examples, variant=i) for i in range(200)]


def test_nothing_of_another_policy_is_in_a_prompt() -> None:
    for i in range(100):
        prompt = " ".join(render(POLICY, CATEGORY, CLAUSE, ["Beispiel"], variant=i)).lower()
        assert not {"spam", "sms", "prize", "phone", "offer"} & set(prompt.split())


def test_a_long_example_is_cut_between_words() -> None:
    user = render(POLICY, CATEGORY, CLAUSE, ["Wort " * 1000], variant=0)[1]
    assert len(user) < LONGEST + 200
    assert user.endswith("Wort …")


def test_the_category_lends_its_own_examples() -> None:
    category = CATEGORY.model_copy(update={"examples": ("Aus der Policy",)})
    assert render(POLICY, category, CLAUSE, [], variant=3)[1].endswith("Aus der Policy")


KEPT = "Win a phone today! Text WIN to 80086."


@pytest.mark.parametrize(
    "answer",
    [
        KEPT,
        f"  {KEPT}\n",
        f'"{KEPT}"',
        f"“{KEPT}”",
        f"«{KEPT}»",
        f"```\n{KEPT}\n```",
        f"```text\n{KEPT}\n```\nThis message is urgent.",
        f"**{KEPT}**",
        f"1. {KEPT}\n2. Call us for a loan.",
        f"- {KEPT}",
        f"Message 4: {KEPT}\nMessage 5: Call us for a loan.",
        f"New message: {KEPT}",
        f"Assistant: {KEPT}",
        f"Sure! Here is a new message:\n\n{KEPT}",
        f"Certainly. Here's a revised version of the message with other words:\n\n{KEPT}",
        f"Here are three examples:\n\n1. {KEPT}\n2. Another one.",
        f"I've rewritten the message for another person:\n{KEPT}",
        f"Rewritten message: {KEPT}",
        f"Hier ist eine neue Nachricht:\n\n{KEPT}",
        f"{KEPT}\n\nNote: this message is for training only.",
        f"{KEPT}\n\nI've changed the numbers and the names.",
        f"{KEPT}\nUser: thanks",
        f"<think>The user wants spam.\nHm.</think>\n{KEPT}",
    ],
)
def test_what_stands_around_a_message_goes(answer: str) -> None:
    assert parse(answer) == KEPT


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "   \n ",
        "...",
        "2019 2020 2021",
        "I'm sorry, but I can't assist with that request.",
        "I cannot create content that breaks a rule.",
        "As an AI language model, I am unable to write this.",
        "Lo siento, no puedo ayudar con eso.",
        "抱歉，我不能协助这个请求。",
        "Dear [Your Name], you have won.",
        "This message is written in the style of an advertisement.",
        "<think>The user wants",
        "You are the best. " * 10,
    ],
)
def test_what_is_no_message(answer: str) -> None:
    assert parse(answer) is None


@pytest.mark.parametrize(
    "message",
    [
        "Sorry we missed you! Request redelivery at www.parcel.example/22",
        "Unfortunately, we could not process your payment. Provide your card at x.example",
        "This is the 2nd time we have tried to contact you. Call 08712101358 now",
        "2 tickets left: call now",
        "Special offer: half price",
        "I can't wait to see you, bring the content of the box",
    ],
)
def test_messages_that_look_like_talk_are_kept(message: str) -> None:
    assert parse(message) == message


def test_as_many_paragraphs_as_asked_for() -> None:
    letter = "Dear Sam,\n\nyou have won.\n\nCall us.\n\nTom"
    assert parse(letter) == letter
    assert parse(letter, paragraphs=1) == "Dear Sam,\n\nyou have won."
    assert parse(letter, paragraphs=2) == "Dear Sam,\n\nyou have won.\n\nCall us."


@given(st.text(max_size=400))
def test_any_answer_is_parsed_and_what_is_kept_stays(answer: str) -> None:
    text = parse(answer)
    assert text is None or (text == text.strip() and sum(c.isalpha() for c in text) >= 3)
