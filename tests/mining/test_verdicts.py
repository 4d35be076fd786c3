from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.labels import issues, verdicts
from mining.labels.channel import Channel
from mining.labels.views import Views
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


def issues_of(w: World, flagged: list[int], suggested: dict[int, int]) -> issues.LabelIssues:
    """What `issues.find` would say if it suspected these rows alone."""
    score, best = np.full(N, 0.01, np.float32), w.y.copy()
    score[flagged] = 0.9
    for row, label in suggested.items():
        best[row] = label
    noise = Channel(np.ones(3) / 3, np.zeros(2), np.full(2, 0.1), np.full(2, 0.5), 0.5)
    return issues.LabelIssues(score, score > 0.5, best, np.zeros(N, int), noise, Views(("a", "b", "c"), w.views))


def test_of_suspect_labels_only_those_of_rows_typical_of_another_are_wrong():
    w = world()
    w.views[:, :] = np.where(np.eye(2)[w.y], 0.9, 0.1)  # the views alone would let every label stand
    found = judged(w, found=issues_of(w, [0, 1], {0: 0, 1: 0}))
    assert found.names[:2].tolist() == ["mislabelled", "hard"]
    assert found.suggested[0] == 0
    assert found.strength[0] == pytest.approx(0.9)
    assert judged(w).names[0] == "ok"
    with pytest.raises(DataError, match="label issues of the same 238 rows, got 240"):
        verdicts.judge(w.views[:, 2:], w.y[2:], w.x[2:], w.groups[2:], found=issues_of(w, [], {}))


def test_label_issues_found_in_planted_flips_become_verdicts():
    w, flipped = world(), np.arange(20, 220, 20)
    w.y[flipped] = 1 - w.y[flipped]
    said = issues.find(w.x, w.y, w.groups, seed=0)
    found = verdicts.judge(said.views.probabilities, w.y, w.x, w.groups, found=said)
    assert (found.names[flipped] == "mislabelled").mean() >= 0.8
    untouched = np.setdiff1d(np.arange(3, N), flipped)
    assert (found.names[untouched] == "mislabelled").mean() <= 0.02
    assert (found.suggested[flipped] == 1 - w.y[flipped]).all()


@pytest.mark.parametrize("planned", [10, 12])
def test_a_row_that_may_go_is_a_duplicate_of_its_kept_partner_wherever_it_stands(planned: int):
    kept, protected = 22 - planned, np.ones(N, bool)
    protected[planned] = False
    w = world()
    assert judged(w, pairs=pairs((10, 12)), protected=protected).names[[planned, kept]].tolist() == ["duplicate", "ok"]
    w.y[planned] = -1
    assert judged(w, pairs=pairs((10, 12)), protected=protected).names[planned] == "duplicate", "no label of its own is lost"
    w.y[[planned, kept]] = -1, w.y[kept]
    protected[:] = True
    protected[kept] = False
    assert judged(w, pairs=pairs((10, 12)), protected=protected).names[kept] == "ok", "a label goes for no unlabelled row"


def test_a_row_with_a_graver_verdict_stays_and_its_copy_goes():
    w = world()
    for rows in ((0, 3), (0, 5)):
        w.y[rows[1]] = 1
        found = judged(w, pairs=pairs(rows))
        assert found.names[list(rows)].tolist() == ["mislabelled", "duplicate"]


def test_a_small_kind_is_new_and_a_stray_among_its_own_is_not():
    w, rng = world(), np.random.default_rng(5)
    kind = np.arange(30, 40)
    w.x[kind] = unit(np.eye(1, 24, 15) + 0.25 * np.eye(1, 24, 0) + 0.08 * rng.standard_normal((10, 24)))
    found = judged(w)
    assert (found.names[kind] == "novel").all()
    assert (found.names[40:] == "novel").mean() <= 0.02
