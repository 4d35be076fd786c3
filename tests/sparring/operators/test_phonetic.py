from random import Random

import pytest

from sparring.operators.phonetic import Phonetic


@pytest.mark.parametrize(
    ("word", "sounds"),
    [
        ("cash", "kash"), ("Claim", "Klaim"), ("PHOTO", "FOTO"), ("TAX", "TAKS"), ("quick!", "kwik!"), ("you", "yoo"),
        ("prizes", "prizez"), ("congratulations", "kongratulashun"), ("account", "akownt"), ("please", "pleese"),
        ("(knight)", "(nite)"), ("cheque", "chekwe"), ("nice", "nise"),
    ],
)  # fmt: skip
def test_as_it_sounds(word, sounds):
    assert sounds in {Phonetic().edit(word, Random(seed)) for seed in range(100)}
    assert all(Phonetic().edit(word, Random(seed)) != word for seed in range(100))


@pytest.mark.parametrize("text", ["win", "is", "boss", "mp3c", "приз", "café"])
def test_what_no_rule_fits_is_left_alone(text):
    assert Phonetic().apply(text, strength=1, rng=Random(0)) == text
