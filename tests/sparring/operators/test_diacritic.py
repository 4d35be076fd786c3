from random import Random

import pytest

from sparring.operators.diacritic import Diacritic
from sparring.text import canonical


def test_some_letters_get_a_mark():
    result = Diacritic().apply("free entry", strength=1, rng=Random(0))
    assert canonical(result) == "free entry"
    assert 2 <= len(result) - len("free entry") <= 9


@pytest.mark.parametrize("text", ["мой приз", "Καλημέρα", "դուք շահել", "café", "йо"])
def test_other_alphabets_get_lines_that_make_no_other_letter(text):
    for seed in range(20):
        result = Diacritic().apply(text, strength=1, rng=Random(seed))
        assert result != text
        assert canonical(result) == canonical(text)


@pytest.mark.parametrize("text", ["免费", "शहर", "рaypal", "12"])
def test_where_marks_mean_something_or_the_word_is_disguised_nothing_happens(text):
    assert Diacritic().apply(text, strength=1, rng=Random(0)) == text
