from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.labels import verdicts
from sparring.embed import unit
from sparring.errors import DataError, UserError

N = 240


@dataclass(frozen=True)
class World:
    x: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    views: np.ndarray


def world(seed: int = 0) -> World:
    """Two classes that stretch towards one another. Row 0 is flipped; row 1 lies between them, row 2 far from all."""
    rng = np.random.default_rng(seed)
    y = np.arange(N) % 2
    reach = rng.uniform(0, 0.45, (N, 1))
    reach[0] = 0.1
    centre = (1 - reach) * np.eye(2, 24)[y] + reach * np.eye(2, 24)[1 - y]
    x = centre + 0.08 * rng.standard_normal((N, 24))
    x[1] = centre[1] = [0.51, 0.49, *[0.0] * 22]
    x[2] = np.eye(1, 24, 9)
    sure = np.where(np.eye(2)[y], 0.95, 0.05)
    sure[1], sure[2] = [0.45, 0.55], [0.4, 0.6]
    views = np.stack([sure, np.clip(sure + rng.normal(0, 0.01, (N, 1)) * [1, -1], 0.01, 0.99), sure])
    y[0] = 1
    return World(unit(x), y, np.arange(N), (views / views.sum(2, keepdims=True)).astype(np.float32))


def judged(w: World, **settings: object) -> verdicts.Verdicts:
    return verdicts.judge(w.views, w.y, w.x, w.groups, **settings)


def test_wrong_hard_and_new_rows_are_told_apart_and_all_others_are_kept():
    found = judged(world(), names=("lr", "balanced", "knn"))
    assert found.names[:3].tolist() == ["mislabelled", "hard", "novel"]
    assert found.actions[:3].tolist() == ["relabel", "upweight", "annotate"]
    assert (found.names[3:] == "ok").mean() > 0.97
    assert found.suggested[0] == 0
    named = dict(found.reasons[0])
    assert {"view:lr", "view:balanced", "view:knn", "neighbours_object"} == set(named)
    assert named["view:lr"] == pytest.approx(0.95, abs=0.01)
    assert 0 not in found.neighbours[0]
    assert found.reasons[2][0][0] == "far_from_all"
    assert found.strength.min() >= 0
    assert found.strength.max() <= 1


def test_neighbours_of_the_same_group_have_no_vote():
    w = world()
    groups = w.groups.copy()
    flood = np.arange(10, 40, 2)  # copies of row 0, wrong as it is
    w.x[flood], w.y[flood] = w.x[0], 1
    w.views[:, flood] = w.views[:, :1]
    groups[flood] = 0
    found = verdicts.judge(w.views, w.y, w.x, groups)
    assert found.names[0] == "mislabelled"
    assert not np.isin(found.neighbours[0], flood).any()


def pairs(*found: tuple[int, int]) -> verdicts.Pairs:
    i, j = np.array(found).T
    return i, j, np.full(len(i), 0.97)


def test_a_chain_of_near_duplicates_keeps_what_is_no_duplicate_of_a_row_that_stays():
    found = judged(world(), pairs=pairs((10, 12), (12, 14), (14, 16)))
    assert [r for r in (10, 12, 14, 16) if found.names[r] == "duplicate"] == [12, 16]
    assert found.reasons[12] == (("near_duplicate", 0.97),)


def test_a_protected_row_stays_and_represents():
    protected = np.zeros(N, bool)
    protected[12] = True
    found = judged(world(), pairs=pairs((10, 12)), protected=protected)
    assert [r for r in (10, 12) if found.names[r] == "duplicate"] == [10]


def test_near_duplicates_whose_labels_conflict_are_escalated_and_never_dropped():
    w = world()
    w.x[11] = w.x[10]
    w.views[:, 10:12] = 0.5
    found = judged(w, pairs=pairs((10, 11)))
    assert found.names[10:12].tolist() == ["ambiguous", "ambiguous"]
    assert ("labels_conflict", 0.97) in found.reasons[10]
    flipped = judged(world(), pairs=pairs((0, 4)))
    assert flipped.names[[0, 4]].tolist() == ["mislabelled", "ok"], "the conflict has an explanation"


def test_abstaining_views_and_unlabelled_rows_are_no_evidence():
    w = world()
    w.views[1] = np.nan
    w.y[6] = -1
    found = judged(w)
    assert found.names[:3].tolist() == ["mislabelled", "hard", "novel"]
    assert found.names[6] == "ok"
    w.views[:, 0] = np.nan
    assert judged(w).names[0] != "mislabelled", "no view has said so"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_rows_that_are_shuffled_and_sorted_by_id_get_the_same_verdicts(seed: int):
    w, order = world(), np.random.default_rng(seed).permutation(N)
    ids = np.array([f"row-{i:04d}" for i in range(N)])
    back = np.argsort(ids[order])
    first = judged(w, pairs=pairs((10, 12), (12, 14)))
    again = judged(
        World(*(a[order][back] for a in (w.x, w.y, w.groups)), w.views[:, order][:, back]), pairs=pairs((10, 12), (12, 14))
    )
    assert (first.verdict == again.verdict).all()
    assert first.reasons == again.reasons


def test_shuffled_rows_get_the_same_verdicts_even_unsorted():
    w, order = world(), np.random.default_rng(1).permutation(N)
    shuffled = judged(World(w.x[order], w.y[order], w.groups[order], w.views[:, order]))
    assert (shuffled.verdict == judged(w).verdict[order]).all()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_hardly_any_rows_are_kept(n: int):
    found = verdicts.judge(np.full((1, n, 2), [0.9, 0.1]), np.zeros(n, int), np.ones((n, 3)) / 3**0.5, np.arange(n))
    assert found.names.tolist() == ["ok"] * n
    assert found.neighbours.shape == (n, 10)


def test_rows_that_are_all_the_same_are_no_trouble():
    found = verdicts.judge(np.full((1, 30, 2), [0.9, 0.1]), np.zeros(30, int), np.ones((30, 3)) / 3**0.5, np.arange(30))
    assert (found.names == "ok").all()


def test_bad_input_is_named():
    w = world()
    for views in (w.views + 0.1, np.where(np.arange(2) == 0, np.nan, w.views)):
        with pytest.raises(DataError, match="sum to 1, or NaN throughout"):
            verdicts.judge(views, w.y, w.x, w.groups)
    with pytest.raises(DataError, match="of the same n"):
        verdicts.judge(w.views, w.y[:5], w.x, w.groups)
    with pytest.raises(DataError, match="labels from -1 to 1"):
        verdicts.judge(w.views, w.y + 1, w.x, w.groups)
    with pytest.raises(DataError, match="finite vectors"):
        verdicts.judge(w.views, w.y, w.x * np.nan, w.groups)
    with pytest.raises(UserError, match="a name for each of 3 views, got 1"):
        judged(w, names=("lr",))
    with pytest.raises(DataError, match="rows from 0 to 239"):
        judged(w, pairs=pairs((0, 999)))
