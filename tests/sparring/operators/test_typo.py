from random import Random

import pytest

from sparring.operators.typo import Typo


@pytest.mark.parametrize(("seed", "expected"), [(0, "recevie"), (1, "rceive"), (2, "rceeive")])
def test_swaps_drops_or_doubles_an_inner_letter(seed, expected):
    assert Typo().apply("receive", strength=1, rng=Random(seed)) == expected


def test_short_words_are_left_alone():
    assert Typo().apply("win the FA cup", strength=1, rng=Random(0)) == "win the FA cup"


def test_a_doubled_letter_that_makes_an_address_is_taken_back():
    for seed in range(20):
        assert "www." not in Typo().apply("ww.abcd", strength=1, rng=Random(seed))
