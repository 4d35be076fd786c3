from random import Random

import pytest

from sparring.operators.punctuation import Punctuation


@pytest.mark.parametrize(("seed", "expected"), [(0, "fre_e"), (1, "free~"), (3, "free...")])
def test_inside_or_behind(seed, expected):
    assert Punctuation().edit("free", Random(seed)) == expected


def test_what_ends_in_punctuation_gets_no_more_behind():
    for seed in range(30):
        assert Punctuation().edit("free!", Random(seed)).endswith("e!")


def test_no_address_is_made():
    for seed in range(100):
        assert ".com" not in Punctuation().apply("abcom", strength=1, rng=Random(seed))


@pytest.mark.parametrize("text", ["4", "a1", "?!"])
def test_what_has_no_place_is_left_alone(text):
    assert Punctuation().apply(text, strength=1, rng=Random(0)) == text
