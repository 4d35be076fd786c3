from random import Random

import pytest

from sparring.operators.texting import Texting


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Please text you today", "Pls txt u 2day"),
        ("Pls txt u 2day", "Please text you today"),
        ("YOU and You, (you)!", "U n U, (u)!"),
        ("U r late", "You are late"),
        ("call for 4 tickets to 87121", "call 4 4 tkts 2 87121"),
        ("SEE YOU LATER", "C U L8R"),
        ("£ for 2", "£ for 2"),  # "£ 4" would be an amount
        ("Bitte sofort antworten", "Bitte sofort antworten"),
    ],
)
def test_both_ways(text, expected):
    assert Texting().apply(text, strength=1, rng=Random(0)) == expected
