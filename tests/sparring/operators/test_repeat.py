import re
from random import Random

import pytest

from sparring.operators.repeat import Repeat


def test_a_vowel_or_the_last_letter():
    found = {Repeat().edit("call!", Random(seed)) for seed in range(100)}
    assert found == {"caaall!", "caaaall!", "caaaaall!", "callll!", "calllll!", "callllll!"}


def test_any_alphabet_and_its_last_letter():
    assert re.fullmatch("приз{3,5}", Repeat().apply("приз", strength=1, rng=Random(0)))


@pytest.mark.parametrize("text", ["a", "mp3", "免费", "won't", "2024"])
def test_what_is_no_word_of_letters_is_left_alone(text):
    assert Repeat().apply(text, strength=1, rng=Random(0)) == text
