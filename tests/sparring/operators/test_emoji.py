from random import Random

from sparring.operators.emoji import Emoji
from sparring.text import canonical


def test_discs_and_squares():
    assert Emoji().apply("Win £9, T&C's!", strength=1, rng=Random(0)) == "🅦🅘🅝 £9, 🆃&🅲'🆂!"
    assert Emoji().apply("go", strength=1, rng=Random(1)) == "🅶🅾"


def test_comes_back_in_capitals():
    for seed in range(5):
        assert canonical(Emoji().apply("free entry", strength=1, rng=Random(seed))) == "FREE ENTRY"


def test_other_scripts_are_left_alone():
    assert Emoji().apply("бесплатно 免费", strength=1, rng=Random(0)) == "бесплатно 免费"
