from random import Random

import pytest

from sparring.errors import MissingExtra
from sparring.operators import misspelling
from sparring.operators.misspelling import Misspelling


def test_as_people_write_it():
    found = {Misspelling().edit("receive", Random(seed)) for seed in range(200)}
    assert "recieve" in found
    assert "receive" not in found
    assert all(word[0] == "r" for word in found)


def test_case_and_punctuation_stay():
    assert Misspelling().edit("(Receive)!", Random(0))[:2] == "(R"
    assert Misspelling().edit("RECEIVE", Random(0)).isupper()


@pytest.mark.parametrize("text", ["qwxzy", "won't", "приз", "4"])
def test_what_the_list_lacks_is_left_alone(text):
    assert Misspelling().apply(text, strength=1, rng=Random(0)) == text


def test_without_the_list_the_fix_is_said(monkeypatch):
    misspelling._misspelt.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"'misspelling' needs the package codespell.*pip install 'sparring\[operators\]'"):
        Misspelling()
