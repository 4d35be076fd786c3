"""Contracts over the registry of selectors, and each against its definition written out."""

from __future__ import annotations

import numpy as np
import pytest

from mining.selection.base import Pool
from mining.selection.strategies import NEIGHBOURS
from sparring import registry
from sparring.embed import unit
from sparring.errors import DataError

NAMES = registry.names("selector")


def made(n: int = 120, d: int = 8, k: int = 3, seed: int = 0, **settings) -> Pool:
    rng = np.random.default_rng(seed)
    return Pool(unit(rng.standard_normal((n, d))), rng.dirichlet(np.ones(k), n).astype(np.float32), **settings)


def batch(name: str, pool: Pool, size: int, seed: int = 0) -> list[int]:
    selector, open = registry.make("selector", name, pool=pool, seed=seed), np.ones(len(pool), bool)
    open[pool.chosen] = False
    rows = []
    for _ in range(size):
        rows.append(selector.propose(open))
        selector.take(rows[-1])
        open[rows[-1]] = False
    return rows


@pytest.mark.parametrize("name", NAMES)
def test_a_selector_proposes_open_rows_and_a_seed_fixes_which(name):
    pool = made(chosen=np.arange(10), rare=1)
    rows = batch(name, pool, 110)
    assert sorted(rows) == list(range(10, 120))
    assert rows == batch(name, pool, 110)


@pytest.mark.parametrize("name", NAMES)
def test_rows_all_the_same_are_selected_all_the_same(name):
    pool = Pool(np.tile(unit(np.ones((1, 4))), (6, 1)), np.full((6, 2), 0.5, np.float32))
    assert sorted(batch(name, pool, 6)) == list(range(6))


def test_margin_and_entropy_by_hand():
    p = np.array([[0.5, 0.3, 0.2], [0.4, 0.39, 0.21], [0.9, 0.05, 0.05], [0.34, 0.33, 0.33]], np.float32)
    pool = Pool(np.eye(4, dtype=np.float32), p)
    assert batch("margin", pool, 4) == [3, 1, 0, 2]
    assert batch("entropy", pool, 4) == [3, 1, 0, 2]
    assert batch("margin", Pool(pool.vectors, p, rare=2), 2) == [3, 1], "the gap between the rare label and the likeliest other"


def test_badge_keeps_the_distances_of_the_gradients_that_it_never_makes():
    pool = made()
    selector = registry.make("selector", "badge", pool=pool, seed=0)
    error = pool.probabilities - np.eye(3)[pool.probabilities.argmax(1)]
    gradient = np.einsum("nk,nd->nkd", error, pool.vectors).reshape(120, -1)
    open = np.ones(120, bool)
    first = selector.propose(open)
    assert first == np.linalg.norm(gradient, axis=1).argmax()
    for row in (first, 17, 60):
        selector.take(row)
    expected = np.min([((gradient - gradient[row]) ** 2).sum(1) for row in (first, 17, 60)], axis=0)
    assert selector._far == pytest.approx(expected, abs=1e-5)
    drawn = np.bincount([selector.propose(open) for _ in range(20_000)], minlength=120) / 20_000
    assert np.abs(drawn - expected / expected.sum()).max() < 0.005, "drawn in proportion to the squared distance"


def test_k_center_takes_the_farthest_row_each_time():
    pool = made(chosen=np.array([3, 4]))
    centres, expected = [3, 4], []
    for _ in range(20):
        near = (pool.vectors @ pool.vectors[centres].T).max(1)
        expected.append(int(near.argmin()))
        centres.append(expected[-1])
    assert batch("k_center", pool, 20) == expected


def test_lazy_facility_location_gains_as_much_as_greedy_written_out():
    pool = made(chosen=np.array([5]))
    similar = pool.vectors @ pool.vectors.T
    nearest = np.argsort(-similar, axis=1)[:, :NEIGHBOURS]
    kept = np.zeros_like(similar)
    np.put_along_axis(kept, nearest, np.maximum(np.take_along_axis(similar, nearest, 1), 0), 1)

    def served(rows: list[int]) -> float:
        return float(kept[:, rows].max(1).sum())

    rows, greedy = [5, *batch("facility_location", pool, 12)], [5]
    for i in range(12):
        greedy.append(max((j for j in range(120) if j not in greedy), key=lambda j: served([*greedy, j])))
        assert served(rows[: i + 2]) == pytest.approx(served(greedy), rel=1e-5)


def test_mixed_takes_the_likeliest_of_the_rare_label_but_not_its_twins_first():
    p = np.full((40, 2), 0.5, np.float32)
    p[:, 1] = np.linspace(0.9, 0.1, 40)
    p[:, 0] = 1 - p[:, 1]
    vectors = unit(np.random.default_rng(0).standard_normal((40, 64)))
    vectors[1:5] = vectors[0]
    rows = batch("mixed", Pool(vectors, p, rare=1), 6)
    assert rows[:2] == [0, 5], "four twins of the first lose a tenth of a probability"
    assert set(rows) < set(range(10))
    assert batch("mixed", Pool(vectors, p, rare=0), 1) == [39]
    assert batch("mixed", Pool(vectors, p), 2) == [19, 20], "the smallest margin, where no label is rare"


def test_without_probabilities_mixed_covers_the_pool_and_others_say_what_they_lack():
    pool = Pool(made().vectors)
    assert batch("mixed", pool, 5) == batch("facility_location", pool, 5)
    for name in ("margin", "entropy", "badge"):
        with pytest.raises(DataError, match=r"expected probabilities for this selector.*k_center"):
            batch(name, pool, 1)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"vectors": np.zeros(3)}, r"shape \(n, d\)"),
        ({"vectors": np.full((3, 2), np.nan)}, "finite numbers, got NaN"),
        ({"probabilities": np.zeros((2, 2))}, r"shape \(3, labels\)"),
        ({"probabilities": np.zeros((3, 1))}, "two labels at least"),
        ({"probabilities": np.array([[0.5, 0.5], [np.nan, 0.5], [1, 0]])}, "NaN or infinity in 1 of 3"),
        ({"probabilities": np.full((3, 2), 2.0)}, r"in \[0, 1\], got 2 to 2.*softmax"),
        ({"chosen": np.array([3])}, "chosen rows from 0 to 2, got 3"),
        ({"probabilities": np.full((3, 2), 0.5), "rare": 2}, "rare label from 0 to 1, got 2"),
    ],
)
def test_a_bad_pool_is_refused_with_what_was_expected(settings, match):
    with pytest.raises(DataError, match=match):
        Pool(**{"vectors": np.eye(3, dtype=np.float32), **settings})
