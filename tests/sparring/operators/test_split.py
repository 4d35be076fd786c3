from random import Random

import pytest

from sparring.operators.split import Split


@pytest.mark.parametrize(("seed", "expected"), [(0, "accou-nt"), (1, "ac-count"), (3, "ac-count")])
def test_one_cut(seed, expected):
    assert Split().edit("account", Random(seed)) == expected


@pytest.mark.parametrize("text", ["win", "mp3", "won't", "a free", "e\u0301te"])
def test_two_letters_stay_on_either_side(text):
    result = Split().apply(text, strength=1, rng=Random(0))
    assert result == text if text != "a free" else result in ("a fr ee", "a fr-ee")


def test_any_script():
    assert Split().apply("приз", strength=1, rng=Random(1)) == "пр-из"
