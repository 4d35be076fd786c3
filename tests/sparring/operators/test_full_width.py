from random import Random

from sparring.operators.full_width import FullWidth


def test_letters_only():
    assert FullWidth().apply("Win £9, T&C's!", strength=1, rng=Random(0)) == "Ｗｉｎ £9, Ｔ&Ｃ'ｓ!"
