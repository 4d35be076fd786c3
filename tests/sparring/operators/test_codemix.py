from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring.errors import JobError
from sparring.operators.codemix import LANGUAGES, Codemix
from sparring.text import payload

TEXT = "Call 08452810075 now and WIN, because today only! Tell me how or when"


@pytest.mark.parametrize(
    ("into", "expected"),
    [
        ("es", "Call 08452810075 ahora y WIN, porque hoy solo! Tell me cómo o cuando"),
        ("fr", "Call 08452810075 maintenant et WIN, car aujourd’hui seulement! Tell me comment ou quand"),
        ("de", "Call 08452810075 jetzt und WIN, weil heute nur! Tell me wie oder wann"),
        ("it", "Call 08452810075 ora e WIN, perché oggi solo! Tell me come o quando"),
        ("pt", "Call 08452810075 agora e WIN, porque hoje só! Tell me como ou quando"),
        ("hi", "Call 08452810075 abhi aur WIN, kyunki aaj sirf! Tell me kaise ya jab"),
    ],
)
def test_function_words_in_another_language(into, expected):
    assert Codemix(into=into).apply(TEXT, strength=1, rng=Random(0)) == expected


def test_case_and_punctuation_stay():
    assert Codemix().apply("NOW! (And) please...", strength=1, rng=Random(0)) == "AHORA! (Y) porfa..."


@pytest.mark.parametrize("into", LANGUAGES)
def test_a_table_holds_single_words_that_differ(into):
    table = LANGUAGES[into]
    assert len(table) >= 30
    assert all(word.split() == [word] and word.islower() and word != english for english, word in table.items())
    assert not table.keys() & {"no", "not", "never", "nobody"}, "a negation swapped or lost would change the label"


@given(
    text=st.text(max_size=60) | st.lists(st.sampled_from(TEXT.split()), max_size=9).map(" ".join),
    into=st.sampled_from([*LANGUAGES]),
)
def test_word_count_and_payload_stay(text, into):
    result = Codemix(into=into).apply(text, strength=1, rng=Random(0))
    assert len(result.split()) == len(text.split())
    assert payload(result) == payload(text)


def test_an_unknown_language_is_said():
    with pytest.raises(JobError, match="out of es, fr, de, it, pt, hi in `into`; got 'xx'"):
        Codemix(into="xx")
