import sys
from random import Random

import pytest

from sparring.errors import MissingExtra
from sparring.operators import romanise
from sparring.operators.romanise import Romanise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Вы выиграли ПРИЗ!", "Vy vyigrali PRIZ!"),
        ("Καλημέρα", "Kalimera"),
        ("恭喜 you", "gongxi you"),
        ("무료", "mulyo"),
        ("दोस्त 123", "dost 123"),
        ("Щука", "Shchuka"),
        ("free café ｆｒｅｅ 𝐟𝐫𝐞𝐞 ㎏", "free café ｆｒｅｅ 𝐟𝐫𝐞𝐞 ㎏"),  # Latin already
    ],
)
def test_other_scripts_in_latin_letters(text, expected):
    assert Romanise().apply(text, strength=1, rng=Random(0)) == expected


def test_without_the_tables_the_fix_is_said(monkeypatch):
    romanise._transliterator.cache_clear()
    monkeypatch.setitem(sys.modules, "anyascii", None)
    with pytest.raises(MissingExtra, match=r"'romanise' needs the package anyascii.*pip install 'sparring\[operators\]'"):
        Romanise()
