from random import Random

import pytest

from sparring.operators.merge import Merge


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("free entry now", [0], "freeentry now"),
        ("free entry now", [1], "free entrynow"),
        ("free entry now", [2], "free entry now"),
        ("free  entry\nnow", [0, 1], "freeentrynow"),
        ("call 08452810075 now or never", [0, 1], "call 08452810075 nowor never"),  # no gap holds payload
        ("dial 123 45", [1], "dial 123 45"),  # "12345" would be payload
    ],
)
def test_drops_the_space_behind_a_word(text, words, expected):
    assert Merge().apply(text, strength=1, rng=Random(0), words=words) == expected


def test_strength_is_the_share_of_gaps():
    assert Merge().apply("a b c d e", strength=0.5, rng=Random(0)).count(" ") == 2
