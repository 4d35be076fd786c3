from random import Random

import pytest

from sparring.operators.decoration import SIGNS, Decoration
from sparring.text import canonical


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("free entry now", [0], "free ★ entry now"),
        ("free entry\nnow", [0, 1], "free ★ entry ★\nnow"),
        ("call 08452810075 now", [0, 1], "call 08452810075 now"),  # no gap holds payload
        ("free", [0], "free"),
    ],
)
def test_between_words(text, words, expected):
    assert Decoration(signs="★").apply(text, strength=1, rng=Random(0), words=words) == expected


def test_taken_out_again_the_text_is_as_it_was():
    text = "please claim your prize\ntoday"
    for seed in range(20):
        result = Decoration().apply(text, strength=0.5, rng=Random(seed))
        assert result != text
        for sign in SIGNS:
            result = result.replace(f" {sign}", "")
        assert result == text


@pytest.mark.parametrize("sign", SIGNS)
def test_a_sign_is_one_that_canonical_forms_keep(sign):
    assert canonical(sign) == sign
