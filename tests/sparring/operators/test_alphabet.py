import string
from random import Random

import pytest

from sparring.errors import JobError
from sparring.operators.alphabet import ALPHABETS, Alphabet
from sparring.text import canonical


@pytest.mark.parametrize("style", ALPHABETS)
def test_every_letter_of_every_alphabet_comes_back(style):
    word = Alphabet(styles=[style]).edit(f"x{string.ascii_letters}", Random(0))
    kept = [c for c in word if c.isascii()]
    assert kept == ([] if style != "small_capitals" else list("xiqx" + string.ascii_uppercase))
    assert canonical(word) == f"x{string.ascii_letters}"


def test_one_alphabet_a_word():
    assert Alphabet().apply("Free, entry 2 win", strength=1, rng=Random(0)) == "ℱ𝓇ℯℯ, 𝖊𝖓𝖙𝖗𝖞 2 𝔴𝔦𝔫"


def test_a_word_in_capitals_has_no_small_ones():
    assert not Alphabet(styles=["small_capitals"]).can_edit("FREE")
    for seed in range(50):
        assert Alphabet().edit("FREE", Random(seed)) != "FREE"


def test_an_unknown_alphabet_is_refused():
    with pytest.raises(JobError, match=r"expected alphabets out of bold, .* got \{'comic'\}"):
        Alphabet(styles=["bold", "comic"])


def test_other_scripts_are_left_alone():
    assert Alphabet().apply("бесплатно 免费", strength=1, rng=Random(0)) == "бесплатно 免费"
