import importlib.util
import sys
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparring.errors import JobError, MissingExtra
from sparring.operators import romanise
from sparring.operators.romanise import Romanise
from sparring.text import payload

ICU = pytest.mark.skipif(importlib.util.find_spec("icu") is None, reason="needs the extra icu, which is built on installing")
SOURCES = ["anyascii", "uroman", pytest.param("icu", marks=ICU)]
LATIN = "free café ｆｒｅｅ 𝐟𝐫𝐞𝐞 ㎏"
MIXED = "Привет 08452810075 Καλημέρα मुफ़्त ไทย 恭喜 무료 الجائزة ПРИЗ! free café £5 e\u0301 \u0301 ا\u064b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Вы выиграли ПРИЗ!", "Vy vyigrali PRIZ!"),
        ("Καλημέρα", "Kalimera"),
        ("恭喜 you", "gongxi you"),
        ("무료", "mulyo"),
        ("दोस्त 123", "dost 123"),
        ("Щука", "Shchuka"),
        (LATIN, LATIN),
    ],
)
def test_other_scripts_in_latin_letters(text, expected):
    assert Romanise().apply(text, strength=1, rng=Random(0)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Вы выиграли ПРИЗ!", "Vy vyigrali PRIZ!"),
        ("恭喜 you", "gongxi you"),
        ("무료", "muryo"),
        ("ไทย", "thai"),
        ("الجائزة", "aljayeza"),
        ("freeприз!", "freepriz!"),
        (LATIN, LATIN),
    ],
)
def test_by_uroman_whole_words_are_read(text, expected):
    assert Romanise(source="uroman").apply(text, strength=1, rng=Random(0)) == expected


@ICU
@pytest.mark.parametrize(
    ("text", "expected"),
    [("Вы выиграли ПРИЗ!", "Vy vyigrali PRIZ!"), ("ไทย", "thiy"), ("freeприз", "freepriz"), (LATIN, LATIN)],
)
def test_by_icu_a_run_of_a_script_is_read(text, expected):
    assert Romanise(source="icu").apply(text, strength=1, rng=Random(0)) == expected


@pytest.mark.parametrize("source", SOURCES)
@settings(deadline=None)
@given(text=st.text(max_size=40) | st.lists(st.sampled_from(MIXED.split()), max_size=8).map(" ".join), seed=st.integers(0, 9))
def test_each_source_keeps_payload_words_and_latin_letters_and_repeats_itself(source, text, seed):
    result = Romanise(source=source).apply(text, strength=0.5, rng=Random(seed))
    assert result == Romanise(source=source).apply(text, strength=0.5, rng=Random(seed))
    assert payload(result) == payload(text)
    if not any(map(romanise._foreign, text)):
        assert result == text


@pytest.mark.parametrize(
    ("source", "module", "said"),
    [
        ("anyascii", "anyascii", r"'romanise' needs the package anyascii.*pip install 'sparring\[operators\]'"),
        ("uroman", "uroman", r"source='uroman' needs the package uroman.*pip install 'sparring\[uroman\]'"),
        ("icu", "icu", r"source='icu' needs the package PyICU.*pip install 'sparring\[icu\]'"),
    ],
)
def test_without_the_tables_the_fix_is_said(monkeypatch, source, module, said):
    made = romanise._SOURCES[source]
    made.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=said):
        Romanise(source=source)
    made.cache_clear()


def test_an_unknown_source_is_said():
    with pytest.raises(JobError, match="out of anyascii, uroman, icu; got 'ascii'"):
        Romanise(source="ascii")
