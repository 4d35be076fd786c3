from random import Random

import pytest

from sparring.operators.digits import Digits, in_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 tickets", "two tickets"),
        ("win 1 of 21 prizes, (3).", "win one of twenty-one prizes, (three)."),
        ("for 4 £5 tickets", "for 4 £5 tickets"),  # beside an amount
        ("07 12 34 56 78", "07 12 34 56 78"),  # a phone number in groups
        ("12 34", "12 34"),
        ("pay 5 pounds, USD 5 or 5 %", "pay 5 pounds, USD 5 or 5 %"),
        ("code 42, ext. 7, PIN: 9", "code 42, ext. 7, PIN: 9"),
        ("at 9 pm", "at 9 pm"),
        ("08452810075 2 win", "08452810075 2 win"),
        ("5% 10:30 1/2 1st 007 100 2024 -5", "5% 10:30 1/2 1st 007 100 2024 -5"),
        ("no numbers", "no numbers"),
    ],
)
def test_a_number_that_stands_alone(text, expected):
    assert Digits().apply(text, strength=1, rng=Random(0)) == expected


def test_in_words():
    assert [in_words(n) for n in (0, 10, 13, 20, 45, 99)] == ["zero", "ten", "thirteen", "twenty", "forty-five", "ninety-nine"]
    assert len({in_words(n) for n in range(100)}) == 100
