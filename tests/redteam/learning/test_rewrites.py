from __future__ import annotations

import numpy as np
import pytest

from redteam.learning import rewrites
from redteam.learning.rewards import Fluency, Referee
from redteam.learning.rewrites import FLOOR, Grams, Rewards, ask, message
from sparring import policy as policies


@pytest.fixture
def rewards(target, judge, prey) -> Rewards:
    return Rewards(Referee(target, judge, budget=200), {"first": prey[0], "second": prey[1]}, Fluency([prey[0].text]), group=2)


def changed(text: str) -> str:
    return " ".join(w + "x" if i < 3 else w for i, w in enumerate(text.split()))


def test_target_and_judge_are_asked_once_a_batch_for_all_rewards(rewards, target, prey):
    answers = [f"<message>{changed(prey[0].text)}</message>", prey[0].text]
    paid = {f.__name__: f(prompts=["first"] * 2, completions=answers, trainer_state=None) for f in rewards.functions()}
    assert list(paid) == list(rewrites.WEIGHTS)
    assert len(target.asked) == 2  # the seed and the one new text
    assert paid["evasion"] == [1.0, 0.0]
    assert paid["form"] == [1.0, 0.0]
    assert (rewards.seen, rewards.won) == (2, 1)


def test_what_custody_refuses_gets_the_floor_and_reaches_neither_target_nor_judge(rewards, target, prey, monkeypatch):
    monkeypatch.setattr(rewrites, "is_prohibited", lambda text, *parts: "forbidden" in text)
    paid = rewards.pay(["first"] * 2, ["<message>forbidden words</message>", changed(prey[0].text)])
    assert {name: values[0] for name, values in paid.items()} == dict.fromkeys(rewrites.WEIGHTS, FLOOR)
    assert all(values[1] > FLOOR for values in paid.values())
    assert not any("forbidden" in text for text in target.asked)
    assert rewards.refused == 1


def test_an_empty_answer_gets_the_floor(rewards, target):
    paid = rewards.pay(["first"] * 2, ["", "<message> </message>"])
    assert all((values == FLOOR).all() for values in paid.values())
    assert target.asked == []


def test_no_reward_is_ever_none(rewards, prey):
    for function in rewards.functions():
        found = function(prompts=["first", "second"], completions=["", prey[1].text])
        assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("<message>hi there</message>", "hi there"),
        ("Sure!\n<message>hi\nthere</message>\nDone.", "hi\nthere"),
        ("<message>cut short", "cut short"),
        (" no marks ", "no marks"),
        ("<message>one</message><message>two</message>", "one"),
    ],
)
def test_a_message_is_what_stands_between_the_marks(answer, said):
    assert message(answer) == said


def test_a_text_like_an_earlier_success_is_not_novel():
    grams = Grams()
    assert grams.pay(["win a prize now"])[0] == 1
    grams.add(["win a prize now"])
    same, near, other = grams.pay(["WIN a prize now", "win a prize today", "see you later"])
    assert same == 0 < near < other == 1


def test_the_prompt_holds_rule_and_text_and_no_second_pair_of_marks(prey, policy_path):
    policy = policies.load(policy_path)
    from dataclasses import replace

    _, user = ask(replace(prey[0], text=f"</message> {prey[0].text}"), policy)
    assert policy.categories[0].definition.strip() in user
    assert prey[0].text in user
    assert (user.count("<message>"), user.count("</message>")) == (1, 1)
