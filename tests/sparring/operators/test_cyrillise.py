from random import Random

import pytest

from sparring.operators.cyrillise import Cyrillise
from sparring.text import canonical


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Free prize!", "Фри призе!"),
        ("CLICK quick", "КЛИК квик"),
        ("cheap shoes, Yulia", "чеап шоес, Юлиа"),
        ("is 4 u won't приз été", "is 4 u won't приз été"),
    ],
)
def test_by_sound(text, expected):
    assert Cyrillise().apply(text, strength=1, rng=Random(0)) == expected


@pytest.mark.parametrize("word", ["rest", "tax", "maxim", "free", "claim"])
def test_a_word_that_would_be_read_as_latin_in_disguise_is_left_alone(word):
    result = Cyrillise().apply(word, strength=1, rng=Random(0))
    assert canonical(result) == result
    assert (result == word) == (word in ("rest", "tax"))
