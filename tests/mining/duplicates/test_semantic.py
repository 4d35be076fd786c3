from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.duplicates import cells, semantic, sketch
from mining.duplicates.semantic import near_duplicate_groups, near_duplicates
from sparring.embed import unit
from sparring.errors import DataError


def clustered(n: int, dim: int = 96, clusters: int = 40, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal((clusters, dim))
    return unit((0.8 * centre[rng.integers(0, clusters, n)] + rng.standard_normal((n, dim))).astype(np.float32))


def planted(n: int, pairs: int, cosine: float, dim: int = 96, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clustered rows, of which the first `pairs` have a copy displaced towards another row, at about `cosine`, shuffled."""
    x, rng = clustered(n, dim, seed=seed), np.random.default_rng(seed + 1)
    source, other = x[:pairs], x[pairs : 2 * pairs]
    away = unit(other - (source * other).sum(1, keepdims=True) * source)
    x[-pairs:] = unit(cosine * source + np.sqrt(1 - cosine**2) * away)
    order = rng.permutation(n)
    place = np.argsort(order)
    return x[order], np.sort(np.stack([place[:pairs], place[-pairs:]], 1), axis=1)


def brute(x: np.ndarray, threshold: float) -> set[tuple[int, int]]:
    i, j = np.nonzero(np.triu(x @ x.T > threshold, 1))
    return set(zip(i.tolist(), j.tolist(), strict=True))


def as_set(found: semantic.NearDuplicates) -> set[tuple[int, int]]:
    return set(zip(found.first.tolist(), found.second.tolist(), strict=True))


@pytest.fixture(scope="module")
def many():
    return planted(12_000, 2_000, 0.96)


def test_few_rows_give_exactly_the_pairs_of_brute_force():
    x, _ = planted(1_500, 200, 0.96)
    found = near_duplicates(x, 0.95)
    assert as_set(found) == brute(x, 0.95)
    assert len(found.first) >= 200
    assert (found.recall, found.checked, len(found.cut)) == (1.0, 0, 0)
    assert (found.cosine > 0.95).all()


def test_many_rows_no_false_pair_and_close_to_all_true_ones(many):
    x, pairs = many
    found, truth = near_duplicates(x, 0.95), brute(x, 0.95)
    assert as_set(found) <= truth | {p for p in as_set(found) if abs(x[p[0]] @ x[p[1]] - 0.95) < 1e-6}
    assert len(as_set(found) & truth) >= 0.97 * len(truth)
    assert len(as_set(found) & set(map(tuple, pairs.tolist()))) >= 0.97 * len(pairs)
    assert np.allclose((x[found.first] * x[found.second]).sum(1), found.cosine, atol=1e-6)
    assert (found.first < found.second).all()


def test_the_measured_recall_is_that_of_the_checked_rows(many, monkeypatch):
    x, _ = many
    whole = near_duplicates(x, 0.95, check=len(x))
    truth = brute(x, 0.95)
    assert whole.checked == pytest.approx(len(truth), abs=2)
    assert whole.recall == pytest.approx(len(as_set(whole) & truth) / len(truth), abs=2e-3)
    monkeypatch.setattr(semantic, "_margin", lambda *_: 0.0)  # nobody visits: pairs across a border are lost, and it says so
    blind = near_duplicates(x, 0.95, check=len(x))
    assert blind.recall == pytest.approx(len(as_set(blind) & truth) / len(truth), abs=2e-3)
    assert blind.recall < whole.recall - 0.05


def test_a_memory_map_gives_what_the_array_gives(many, tmp_path):
    x, _ = many
    np.save(tmp_path / "x.npy", x)
    mapped, plain = near_duplicates(np.load(tmp_path / "x.npy", mmap_mode="r"), 0.95), near_duplicates(x, 0.95)
    assert (mapped.first == plain.first).all()
    assert (mapped.second == plain.second).all()
    assert (mapped.cosine == plain.cosine).all()
    assert mapped.recall == plain.recall


def test_a_private_map_keeps_its_changes(tmp_path):
    x = clustered(9_000)
    np.save(tmp_path / "x.npy", x)
    private = np.load(tmp_path / "x.npy", mmap_mode="c")
    private[5] = private[4]
    found = near_duplicates(private, 0.95)
    assert (4, 5) in as_set(found)
    assert (private[5] == x[4]).all()


def test_a_flood_of_copies_is_cut_and_says_so():
    x = clustered(12_000)
    x[2_000:8_000] = x[0]
    found = near_duplicates(x, 0.95, most=16)
    assert found.recall is None or found.recall == 1
    partners = np.bincount(found.second, minlength=len(x))
    assert partners.max() == 16
    assert (partners[2_016:8_000] == 16).all()
    assert len(found.cut) >= 5_900
    assert len(found.first) < 20 * 6_000
    group = near_duplicate_groups(x)
    assert len(np.unique(group[2_000:8_000])) == 1
    assert group[0] == group[2_000] >= 0


@pytest.mark.parametrize("n", [1_000, 9_000])
def test_all_rows_the_same(n):
    x = np.repeat(clustered(1), n, axis=0)
    found = near_duplicates(x, most=8)
    assert (np.bincount(found.second, minlength=n)[8:] == 8).all()
    assert (near_duplicate_groups(x) == 0).all()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_no_row_one_row_and_no_pair(n):
    x = np.eye(4, dtype=np.float32)[:n]
    found = near_duplicates(x)
    assert len(found.first) == len(found.second) == len(found.cosine) == 0
    assert near_duplicate_groups(x).tolist() == [-1] * n


@pytest.mark.parametrize("n", [100, 9_000])
def test_rows_of_zeros_are_near_nothing(n):
    x = clustered(n)
    x[10:60] = 0
    x[70] = x[80]
    found = near_duplicates(x)
    assert (70, 80) in as_set(found)
    assert not np.isin(np.r_[found.first, found.second], np.arange(10, 60)).any()


@pytest.mark.parametrize("n", [100, 9_000])
@pytest.mark.parametrize(("value", "said"), [(np.nan, "nan"), (np.inf, "inf"), (3.0, "length")])
def test_a_row_of_another_length_is_named(n, value, said):
    x = clustered(n)
    x[42] = value
    with pytest.raises(DataError, match=rf"row 42: expected a vector of length 1.*{said}"):
        near_duplicates(x)


def test_bad_shapes_and_thresholds():
    for vectors, threshold in ((np.ones(3, np.float32), 0.9), (clustered(9), 1.0), (clustered(9), 0.0)):
        with pytest.raises(DataError, match="expected"):
            near_duplicates(vectors, threshold)


def test_the_same_seed_gives_the_same_and_short_rows_need_no_projection():
    x, _ = planted(10_000, 800, 0.97, dim=24)
    first, again = near_duplicates(x, 0.95, seed=3), near_duplicates(x, 0.95, seed=3)
    assert as_set(first) == as_set(again)
    assert first.recall == again.recall
    assert len(as_set(first) & brute(x, 0.95)) >= 0.97 * len(brute(x, 0.95))


def test_groups_follow_pairs_over_chains():
    x = np.zeros((5, 8), np.float32)
    angle = np.array([0, 0.25, 0.5, 2.0, 0.75])  # 0-1-2-4 is a chain; its ends are far apart
    x[:, 0], x[:, 1] = np.cos(angle), np.sin(angle)
    assert near_duplicate_groups(x, 0.95).tolist() == [0, 0, 0, -1, 0]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 0.99), st.integers(70, 200))
def test_a_sketch_dismisses_no_pair_at_the_threshold(seed, threshold, dim):
    rng = np.random.default_rng(seed)
    x = clustered(400, dim, seed=seed)
    along = sketch.axes(x, threshold, rng)
    step = rng.standard_normal((400, dim))
    step -= (step * x).sum(1, keepdims=True) * x
    y = (threshold * x + np.sqrt(1 - threshold**2) * unit(step)).astype(np.float32)
    apart = ((along.of(x) - along.of(y)) ** 2).sum(1)
    assert (apart <= along.near).mean() >= 1 - 1e-2
    assert np.allclose(
        along.matrix[:, -along.leading :].T @ along.matrix[:, -along.leading :], np.eye(along.leading), atol=1e-4
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_everybody_has_one_home_and_meets_its_displaced_copy_beyond_the_margin_that_it_needs(seed):
    x, rng = clustered(3_000, 16, seed=seed), np.random.default_rng(seed)
    where = cells.fit(x, 25, rng)
    home = np.concatenate([rows[:homes] for rows, _, homes in cells.members(where, x, 0.05)])
    assert sorted(home.tolist()) == list(range(3_000))
    moved = x + unit(rng.standard_normal(x.shape).astype(np.float32)) * 0.2
    need = cells.needed(where, x, moved)
    for margin in (0.0, 0.02, 0.1):
        met = np.zeros(3_000, bool)
        for rows, _, homes in cells.members(where, np.concatenate([x, moved]), margin):
            place = np.sort(rows[rows < 3_000]), np.sort(rows[rows >= 3_000] - 3_000)
            inside = np.intersect1d(*place)
            met[inside[np.isin(inside, rows[:homes]) | np.isin(inside + 3_000, rows[:homes])]] = True
        sure = np.abs(need - margin) > 1e-5
        assert (met == ((need < margin) | (need == 0)))[sure | (need == 0)].all()
    assert (need < 0.1).mean() >= 0.99
