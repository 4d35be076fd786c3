from random import Random

import pytest

from sparring.operators.spacing import Spacing
from sparring.text import canonical


@pytest.mark.parametrize(("seed", "spaced"), [(0, "f r e e!"), (2, "f-r-e-e!")])
def test_one_separator_a_word(seed, spaced):
    assert Spacing().apply("free!", strength=1, rng=Random(seed)) == spaced


@pytest.mark.parametrize("text", ["a free day", "free u", "win free entry", "£5x free", "a b free c d", "win 2 free"])
def test_words_do_not_fuse(text):
    plain = canonical(text, "deobfuscate")
    for seed in range(50):
        assert canonical(Spacing().apply(text, strength=1, rng=Random(seed)), "deobfuscate") == plain


@pytest.mark.parametrize("word", ["go", "mp3", "won't", "free-entry", "e\u0301te"])
def test_what_would_not_come_back_is_left_alone(word):
    assert Spacing().apply(word, strength=1, rng=Random(0)) == word


def test_any_script():
    assert Spacing().apply("бесплатно", strength=1, rng=Random(1)) == "б е с п л а т н о"
