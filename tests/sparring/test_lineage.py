from __future__ import annotations

from sparring.lineage import bridging
from sparring.record import real, synthetic

FIELDS = {"label_name": "spam", "policy": "p", "policy_version": "1"}


def row(text: str, split: str, key: str):
    return real(source="s", key=key, text=text, split=split, group=key, **FIELDS)


def made(text: str, split: str, number: int):
    return synthetic(work=[text, number], text=text, split=split, root_ids=(), **FIELDS)


KNOWN = [
    row("win a free prize today, call the number below to claim it now", "train", "a"),
    row("your parcel is held at the depot, pay the fee to release it today", "test", "b"),
]


def test_a_made_row_near_a_row_of_another_split_bridges_and_one_of_its_own_split_does_not():
    same = made("win a free prize today, call the number below to claim it now!", "train", 0)
    other = made("your parcel is held at the depot, pay the fee to release it today!", "train", 1)
    assert bridging(KNOWN, [same, other]) == {other.id}


def test_a_disguised_copy_bridges_as_well():
    hidden = made("y0ur p4rcel is h3ld at the dep0t, p@y the fee to rele4se it t0day", "train", 0)
    assert bridging(KNOWN, [hidden]) == {hidden.id}


def test_between_two_made_rows_the_one_outside_test_goes():
    text = "exclusive ringtone offer for you, reply with yes to subscribe for a pound"
    left, right = made(text, "train", 0), made(text + "!", "test", 1)
    assert bridging(KNOWN, [left, right]) == {left.id}
    assert bridging(KNOWN, [right, left]) == {left.id}
