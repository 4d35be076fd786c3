from random import Random

import pytest

from sparring.confusables import FROM_LATIN, TO_LATIN
from sparring.operators.homoglyph import Homoglyph
from sparring.text import canonical


def test_some_letters_of_a_word():
    assert Homoglyph().apply("free entry", strength=1, rng=Random(0)) == "fᴦeҽ eпtгγ"


@pytest.mark.parametrize("latin", FROM_LATIN)
def test_every_look_alike_comes_back(latin):
    for look in FROM_LATIN[latin]:
        assert TO_LATIN[look] == latin
        assert canonical(f"x{look}x") == f"x{latin}x"
        assert canonical(look) == latin


def test_other_scripts_are_left_alone():
    assert Homoglyph().apply("бесплатно 免费", strength=1, rng=Random(0)) == "бесплатно 免费"


def test_a_latin_name_in_a_russian_text_comes_back():
    text = "деньги на paypal"
    result = Homoglyph().apply(text, strength=1, rng=Random(0))
    assert result != text
    assert canonical(result) == text
