from random import Random

import pytest

from sparring.errors import JobError
from sparring.operators.keyboard import Keyboard, neighbours


@pytest.mark.parametrize(
    ("layout", "key", "near"),
    [("qwerty", "s", "weadzx"), ("qwerty", "Q", "WA"), ("qwertz", "y", "asx"), ("azerty", "a", "zq"), ("jcuken", "Ф", "ЙЦЫЯ")],
)
def test_neighbours_touch_on_the_layout(layout, key, near):
    assert set(neighbours(layout)[key]) == set(near)


@pytest.mark.parametrize("layout", ["qwerty", "qwertz", "azerty", "jcuken"])
def test_neighbours_are_mutual(layout):
    near = neighbours(layout)
    assert all(key in near[other] for key, others in near.items() for other in others)


def test_one_inner_letter():
    for seed in range(50):
        result = Keyboard().edit("(Prize!)", Random(seed))
        changed = [i for i, (a, b) in enumerate(zip("(Prize!)", result, strict=True)) if a != b]
        assert len(changed) == 1
        assert changed[0] in (2, 3, 4)


@pytest.mark.parametrize("text", ["win", "деньги", "免费免费"])
def test_what_the_layout_lacks_is_left_alone(text):
    assert Keyboard().apply(text, strength=1, rng=Random(0)) == text


def test_other_layouts():
    assert Keyboard(layout="jcuken").apply("деньги", strength=1, rng=Random(0)) != "деньги"
    with pytest.raises(JobError, match="out of qwerty, qwertz, azerty, jcuken; got 'dvorak'"):
        Keyboard(layout="dvorak")
