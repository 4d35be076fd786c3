from random import Random

import pytest

from sparring.operators.case import Case


def test_capitals_small_letters_or_some():
    found = {Case().edit("Free", Random(seed)) for seed in range(100)}
    assert {"FREE", "free", "FReE"} <= found
    assert "Free" not in found
    assert all(word.lower() == "free" for word in found)


@pytest.mark.parametrize("text", ["ß", "ı", "12!", "免费", "ς"])
def test_letters_that_would_not_come_back_are_left_alone(text):
    assert Case().apply(text, strength=1, rng=Random(0)) == text


def test_any_script_with_case():
    assert Case().apply("приз", strength=1, rng=Random(0)).lower() == "приз"
