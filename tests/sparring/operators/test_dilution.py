from random import Random

import pytest

from sparring.operators.dilution import Dilution


@pytest.mark.parametrize("seed", range(10))
def test_adds_phrases_and_keeps_the_text(seed):
    text = "Claim your prize, call 08452810075 now"
    result = Dilution().apply(text, strength=0.5, rng=Random(seed))
    assert result.startswith(text) != result.endswith(text)
    assert len(result) <= len(text) * 1.25 + 20


def test_words_name_phrases():
    assert Dilution(["ok then", "bye"]).apply("win", strength=1, rng=Random(0), words=[1, 0, 7]) == "win bye ok then"


def test_no_phrases_no_change():
    assert Dilution([]).apply("win", strength=1, rng=Random(0)) == "win"


def test_a_phrase_with_payload_is_not_used():
    dilution = Dilution(["call 08452810075", "bye"])
    assert dilution.phrases == ("bye",)


def test_a_policy_s_payload_is_not_made():
    dilution = Dilution(["bye", "code red"])
    dilution.payload = (r"code \w+",)
    assert dilution.apply("win", strength=1, rng=Random(0), words=[1]) == "win"
