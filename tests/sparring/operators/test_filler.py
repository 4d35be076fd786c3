from random import Random

import pytest

from sparring.operators.filler import WORDS, Filler
from sparring.text import canonical, payload


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("free entry now", [0], "free lol entry now"),
        ("free entry\nnow", [0, 1], "free lol entry lol\nnow"),
        ("call 08452810075 now", [0, 1], "call 08452810075 now"),  # no gap holds payload
        ("free", [0], "free"),
    ],
)
def test_between_words(text, words, expected):
    assert Filler(words=["lol"]).apply(text, strength=1, rng=Random(0), words=words) == expected


def test_taken_out_again_the_text_is_as_it_was():
    text = "please claim your prize\ntoday"
    for seed in range(20):
        result = Filler().apply(text, strength=0.5, rng=Random(seed))
        assert result != text
        for word in WORDS:
            result = result.replace(f" {word} ", " ").replace(f" {word}\n", "\n")
        assert result == text


@pytest.mark.parametrize("word", WORDS)
def test_a_filler_is_plain_and_no_payload(word):
    assert canonical(word, "deobfuscate") == word
    assert not payload(word)
