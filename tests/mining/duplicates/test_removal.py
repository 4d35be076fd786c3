from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.duplicates.minhash import find
from mining.duplicates.pairs import Pairs, product
from mining.duplicates.removal import Evidence, Removal, plan


def evidence(n: int, near: dict[tuple[int, int], float], threshold: float = 0.7, name: str = "text") -> Evidence:
    rows = np.array(list(near), np.int64).reshape(-1, 2)
    return Evidence(name, Pairs.of(n, rows[:, 0], rows[:, 1], np.array(list(near.values()))), threshold)


def ids(n: int) -> list[str]:
    return [f"r{i:03}" for i in range(n)]


def test_a_chain_is_not_removed_by_way_of_a_third_row():
    near = {(0, 1): 0.9, (1, 2): 0.9, (2, 3): 0.9}
    found = plan([evidence(4, near)], ids(4), np.zeros(4, int), most=1)
    assert found.stands_for.tolist() == [-1, 0, -1, 2]
    assert found.why_removed == (
        "",
        "near duplicate of r000 (text similarity 0.900)",
        "",
        "near duplicate of r002 (text similarity 0.900)",
    )


def test_pairs_below_the_threshold_do_not_count_and_the_first_evidence_comes_first():
    text, meaning = evidence(3, {(0, 2): 0.71, (0, 1): 0.7}), evidence(3, {(0, 2): 0.99, (1, 2): 0.96}, 0.95, "cosine")
    found = plan([text, meaning], ids(3), np.zeros(3, int), most=1)
    assert found.why_removed == ("", "", "near duplicate of r000 (text similarity 0.710)")
    assert (
        plan([meaning], ids(3), np.zeros(3, int), most=1).why_removed[2] == "near duplicate of r000 (cosine similarity 0.990)"
    )


def test_pairs_whose_labels_conflict_are_questions_and_all_their_rows_stay():
    near = {(0, 1): 1.0, (0, 2): 1.0, (1, 2): 1.0, (3, 4): 1.0}
    found = plan([evidence(5, near)], ids(5), np.array([1, 1, 0, 1, 1]), rare=0, most=1)
    assert found.conflicts.tolist() == [[0, 2], [1, 2]]
    assert found.removed.tolist() == [False, False, False, False, True]
    assert found.why_spared[:3] == ("its label conflicts with that of r002",) * 2 + ("its label conflicts with that of r000",)


def test_a_rare_positive_never_goes_and_may_stand_for_an_unlabelled_row():
    labels = np.array([0] * 38 + [2, 2, -1])
    near = {(38, 39): 1.0, (39, 40): 1.0, (0, 1): 1.0}
    found = plan([evidence(41, near)], ids(41), labels, most=1)
    assert np.flatnonzero(found.removed).tolist() == [1, 40]
    assert found.stands_for[40] == 39
    assert found.why_spared[39] == "at most 5% of the labelled rows have its label"
    assert plan([evidence(41, near)], ids(41), labels, rare=0.04, most=1).removed[39]


def test_rare_benign_rows_are_not_positives():
    found = plan([evidence(40, {(0, 1): 1.0})], ids(40), np.array([0, 0] + [1] * 38), most=1)
    assert found.removed[1]


def test_a_labelled_row_never_goes_for_an_unlabelled_one():
    near = {(0, 1): 1.0}
    found = plan([evidence(2, near)], ids(2), np.array([-1, 1]), priority=np.array([9, 0]), rare=0, most=1)
    assert found.stands_for.tolist() == [1, -1]


def test_priority_says_which_row_of_a_pair_is_kept():
    near = {(0, 1): 1.0}
    assert plan([evidence(2, near)], ids(2), np.zeros(2, int), priority=np.array([0, 1]), most=1).stands_for.tolist() == [1, -1]


def test_no_source_and_no_label_loses_more_than_its_share_the_least_similar_stay():
    near = {(0, i): 0.9 + i / 1000 for i in range(1, 8)}
    sources = ["a"] * 6 + ["b"] * 2
    found = plan([evidence(8, near)], ids(8), np.zeros(8, int), sources=sources)
    assert np.flatnonzero(found.removed).tolist() == [3, 4, 5, 7]
    assert found.why_spared[6] == "50% of its source are removed already"
    found = plan([evidence(8, near)], ids(8), np.zeros(8, int), sources=list("abcdefgh"), most=1)
    assert found.removed.sum() == 7
    found = plan([evidence(8, near)], ids(8), np.array([0] * 8), most=0.25)
    assert np.flatnonzero(found.removed).tolist() == [6, 7]


def test_of_a_flood_those_rows_stay_that_stand_for_most():
    """Rows of one form are paired with a few of them only; whichever comes first by id, nearly all of the others go."""
    texts = [f"your code is {i}" for i in np.random.default_rng(0).permutation(np.arange(10_000, 11_000))]
    found = plan([Evidence("text", find(texts).pairs, 0.7)], ids(1000), np.zeros(1000, int), most=1)
    assert found.removed.sum() == 999


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ids": ["a", "a"]}, "expected unique ids; 'a' is there more than once"),
        ({"labels": np.zeros(3, int)}, "expected a label, a source and a priority for each of 2 ids; got 3, 2, 2"),
        ({"most": 1.5}, "expected shares between 0 and 1; got rare 0.05, most 1.5"),
        ({"evidence": [evidence(9, {(7, 8): 1.0})]}, "expected pairs of 2 rows as evidence 'text'; got row 8"),
    ],
)
def test_bad_input_is_said(change, said):
    given = {"evidence": [], "ids": ["a", "b"], "labels": np.zeros(2, int)} | change
    with pytest.raises(ValueError, match=said):
        plan(given.pop("evidence"), given.pop("ids"), given.pop("labels"), **given)


def test_nothing_to_remove():
    found = plan([], [], np.zeros(0, int))
    assert (len(found.stands_for), found.why_removed, found.conflicts.shape) == (0, (), (0, 2))


@st.composite
def problems(draw):
    n = draw(st.integers(2, 25))
    row = st.integers(0, n - 1)
    near = draw(st.dictionaries(st.tuples(row, row), st.sampled_from([0.6, 0.75, 0.8, 0.9, 1.0]), max_size=60))
    labels = draw(st.lists(st.sampled_from([-1, 0, 0, 1, 1, 2]), min_size=n, max_size=n))
    sources = draw(st.lists(st.sampled_from("ab"), min_size=n, max_size=n))
    return n, near, np.array(labels), sources, draw(st.sampled_from([0.2, 0.5, 1.0])), draw(st.permutations(range(n)))


def check(n: int, pairs: Pairs, labels: np.ndarray, sources: list[str], most: float, found: Removal) -> None:
    near = {frozenset(p) for p in zip(pairs.row.tolist(), pairs.other.tolist(), strict=True)}
    near = {
        p
        for p, s in zip(
            map(frozenset, zip(pairs.row.tolist(), pairs.other.tolist(), strict=True)), pairs.similarity, strict=True
        )
        if s > 0.7
    }
    labelled = labels[labels >= 0]
    for i in np.flatnonzero(found.removed).tolist():
        j = int(found.stands_for[i])
        assert not found.removed[j], "what stands for a removed row is kept"
        assert {i, j} in near, "and near to it"
        assert labels[i] in (-1, labels[j])
        assert labels[i] <= 0 or (labelled == labels[i]).sum() > 0.05 * len(labelled)
        assert found.why_removed[i]
        assert not found.why_spared[i]
    conflicts = {p for p in near if len({int(labels[i]) for i in p} - {-1}) == 2}
    assert conflicts == {frozenset(p) for p in found.conflicts.tolist()}
    assert not found.removed[[i for p in conflicts for i in p]].any()
    for kinds in (sources, labels.tolist()):
        gone = Counter(k for k, r in zip(kinds, found.removed, strict=True) if r)
        assert all(gone[k] <= most * c for k, c in Counter(kinds).items())


@settings(max_examples=150)
@given(problems())
def test_the_policy_holds_whatever_the_rows_and_in_any_order(problem):
    n, near, labels, sources, most, order = problem
    one = evidence(n, near)
    found = plan([one], ids(n), labels, sources=sources, most=most)
    check(n, one.pairs, labels, sources, most, found)
    place = np.argsort(order)
    moved = Evidence("text", Pairs.of(n, place[one.pairs.row], place[one.pairs.other], one.pairs.similarity), 0.7)
    again = plan([moved], [ids(n)[i] for i in order], labels[order], sources=[sources[i] for i in order], most=most)
    assert again.why_removed == tuple(found.why_removed[i] for i in order)
    assert again.why_spared == tuple(found.why_spared[i] for i in order)


def test_pairs_are_ordered_unique_and_without_a_row_beside_itself():
    found = Pairs.of(5, np.array([3, 1, 1, 2, 1]), np.array([1, 3, 0, 2, 3]), np.array([0.5, 0.9, 0.7, 1.0, 0.8]))
    assert (found.row.tolist(), found.other.tolist()) == ([0, 1], [1, 3])
    assert found.similarity == pytest.approx([0.7, 0.9])
    assert len(Pairs.of(5, *[np.zeros(0, np.int64)] * 2, np.zeros(0))) == 0


def test_a_product_is_every_place_with_every_other():
    row, other, pair = product(np.array([0, 5, 9]), np.array([2, 0, 1]), np.array([10, 20, 30]), np.array([2, 3, 1]))
    assert list(zip(row.tolist(), other.tolist(), pair.tolist(), strict=True)) == [
        (0, 10, 0), (0, 11, 0), (1, 10, 0), (1, 11, 0), (9, 30, 2),
    ]  # fmt: skip
