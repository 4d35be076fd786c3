from random import Random

import pytest

from sparring.operators.leet import Leet
from sparring.text import canonical


def test_inner_letters_of_words():
    assert Leet().apply("Claim your PRIZE, please!", strength=1, rng=Random(0)) == "Cla1m y0ur PR1ZE, pl3ase!"


@pytest.mark.parametrize("word", ["it", "no", "iPad", "won't", "mp3", "gym", "été", "деньги", "free-entry", "$ex"])
def test_words_that_would_not_come_back_are_left_alone(word):
    assert not Leet().can_edit(word)
    assert Leet().apply(word, strength=1, rng=Random(0)) == word


@pytest.mark.parametrize("word", ["free", "Free", "FREE", "(cash)", "assessees", "seat", "boss"])
def test_comes_back_in_its_own_case(word):
    for seed in range(50):
        result = Leet().apply(f"{word} 100", strength=1, rng=Random(seed))
        assert result != f"{word} 100"
        assert canonical(result, "deobfuscate") == f"{word} 100"
