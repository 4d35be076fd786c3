from __future__ import annotations

import json
from random import Random

import numpy as np
import pytest

from mining.duplicates import leakage as module
from mining.duplicates.leakage import Leakage, Side, leakage
from sparring.embed import DummyEmbedder
from sparring.errors import DataError

TRAIN = ["Call 0800 111 now to claim your prize", "see you at home tonight then", "the meeting is moved to noon", "win cash"]
TEST = [
    " the meeting is moved to noon\n",  # the same
    "call 0900 222 now to claim your prize",  # the same but for numbers and case
    "c a l l 0800 111 n0w 70 cl41m y0ur pr1z3",  # disguised, and "to" as a number
    "see you at home tonight then mum",
    "nothing like it",
]


def side(name: str, texts: list[str], labels=None, vectors=None) -> Side:
    return Side(name, [f"{name}-{i}" for i in range(len(texts))], texts, labels, vectors)


def pairs(found: Leakage, level: str) -> set[tuple[int, int]]:
    (one,) = (x for x in found.levels if x.name == level)
    return set(zip(one.row.tolist(), one.other.tolist(), strict=True))


def test_each_level_finds_what_it_says():
    found = leakage(side("train", TRAIN), side("test", TEST), threshold=0.65)
    assert [level.name for level in found.levels] == ["exact", "masked", "near"]
    assert pairs(found, "exact") == {(2, 0)}
    assert pairs(found, "masked") == {(2, 0), (0, 1)}
    assert pairs(found, "near") == {(2, 0), (0, 1), (0, 2), (1, 3)}
    near = found.levels[-1]
    assert near.a[0] == 0.75
    assert near.b[0] == 0.8
    assert near.a[1] < 0.75 < near.a[2]
    assert near.a[3], near.b[3] == (4, 5)
    assert near.similarity[(near.row == 2)] == pytest.approx([1])
    assert ((near.similarity > 0.65) & (near.similarity <= 1)).all()


def test_labels_that_differ_are_counted_those_that_are_missing_are_not():
    found = leakage(side("a", TRAIN, ["spam", "ham", "ham", "spam"]), side("b", TEST, ["spam", "ham", "spam", None, "ham"]))
    assert {level.name: int(level.conflicting.sum()) for level in found.levels} == {"exact": 1, "masked": 2, "near": 2}
    assert not leakage(side("a", TRAIN, ["x"] * 4), side("b", TEST)).levels[-1].conflicting.any()


def test_cosine_by_given_vectors_or_an_embedder():
    one, two = np.eye(4, dtype=np.float32), np.eye(5, 4, k=-1, dtype=np.float32)
    found = leakage(side("a", TRAIN, vectors=one), side("b", TEST, vectors=two))
    assert pairs(found, "cosine") == {(0, 1), (1, 2), (2, 3), (3, 4)}
    assert found.levels[-1].similarity == pytest.approx(1)
    embedded = leakage(side("a", TRAIN), side("b", TEST), embedder=DummyEmbedder(), cosine=0.8)
    assert (2, 0) in pairs(embedded, "cosine")
    with pytest.raises(DataError, match="expected vectors of one embedder"):
        leakage(side("a", TRAIN, vectors=one), side("b", TEST, vectors=np.eye(5, dtype=np.float32)))


def test_a_flood_lists_every_row_that_leaks_though_not_every_pair(monkeypatch):
    monkeypatch.setattr(module, "MOST", 3)
    a, b = [f"your code is {i}" for i in range(1000, 1040)], [f"Your code is {i}" for i in range(2000, 2020)]
    found = leakage(side("a", [*a, "something else entirely"]), side("b", [*b, "and quite another one"]))
    for level in found.levels[1:]:
        assert len(np.unique(level.row)) == 40
        assert len(np.unique(level.other)) == 20
        assert len(level.row) < 40 * 20
        assert level.a[0] == pytest.approx(40 / 41, abs=1e-4)
        assert 40 not in level.row


def test_shuffled_rows_leak_the_same():
    rng, a, b = Random(0), list(range(4)), list(range(5))
    rng.shuffle(a)
    rng.shuffle(b)
    found = leakage(side("a", TRAIN), side("b", TEST), threshold=0.65)
    moved = leakage(
        Side("a", [f"a-{i}" for i in a], [TRAIN[i] for i in a]),
        Side("b", [f"b-{i}" for i in b], [TEST[i] for i in b]),
        threshold=0.65,
    )
    said = [sorted((p["a"], p["b"], p["similarity"]) for p in x.to_json()["levels"]["near"]["pairs"]) for x in (found, moved)]
    assert said[0] == said[1]


def test_what_is_shown_holds_no_text():
    found = leakage(side("train", TRAIN, ["spam"] * 4), side("test", TEST, ["ham"] * 5))
    shown = "\n".join(found.lines())
    told = json.dumps(found.to_json())
    assert "train: 4 rows; test: 5 rows" in shown
    assert "exact: 1 rows of train (25.00%" in shown
    assert "1 pairs with different labels" in shown
    assert "t** m****** i* m**** t* n***" in shown
    for word in ("meeting", "prize", "claim", "tonight"):
        assert word not in shown
        assert word not in told


@pytest.mark.parametrize(("one", "two"), [([], []), ([], TEST), (TRAIN, [])])
def test_an_empty_side_shares_nothing(one, two):
    found = leakage(side("a", one), side("b", two), embedder=DummyEmbedder())
    assert all(len(level.row) == 0 for level in found.levels)
    assert [level.a is None for level in found.levels] == [not one] * 4
    assert len(found.lines()) >= 5
    json.dumps(found.to_json())


def test_lengths_that_differ_are_said():
    with pytest.raises(ValueError, match="train: expected a text, a label and a vector for each of 1 ids; got"):
        leakage(Side("train", ["x"], ["a", "b"]), side("test", TEST))
