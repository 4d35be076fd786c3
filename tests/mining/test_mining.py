from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from mining.duplicates import semantic
from mining.labels import issues as label_issues
from mining.selection import cells as selection
from sparring.embed import unit
from sparring.results import Niche


def blobs(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return unit(np.eye(3, 16)[y] + 0.12 * rng.standard_normal((n, 16))), y, [f"g{i}" for i in range(n)]


def test_planted_label_errors_are_found_with_the_right_suggestion():
    x, y, groups = blobs()
    planted = np.arange(0, 300, 15)
    noisy = y.copy()
    noisy[planted] = (y[planted] + 1) % 3
    found = label_issues.find(x, noisy, groups, seed=0)
    assert found.flagged[planted].mean() >= 0.6  # confident learning prunes to its estimate of the noise rate
    assert found.flagged.sum() <= found.flagged[planted].sum() * 1.2
    assert average_precision_score(np.isin(np.arange(300), planted), -found.quality) >= 0.95  # the score ranks the rest
    assert (found.suggested[planted] == y[planted]).mean() >= 0.9
    assert found.quality.min() >= 0
    assert found.quality.max() <= 1
    assert found.quality[planted].mean() < found.quality.mean() - 0.3


def test_the_order_of_rows_changes_no_verdict_count_and_the_seed_fixes_all():
    x, y, groups = blobs()
    first, again = (label_issues.find(x, y, groups, seed=1) for _ in range(2))
    assert (first.quality == again.quality).all()


@pytest.mark.parametrize("labels", [[0] * 30, [0] * 28 + [1] * 2])
def test_one_class_or_a_class_smaller_than_the_folds_flags_nothing(labels):
    x = unit(np.random.default_rng(0).standard_normal((30, 8)))
    found = label_issues.find(x, labels, [str(i) for i in range(30)], seed=0)
    assert not found.flagged.any()


def test_planted_near_duplicates_are_grouped_and_nothing_else_is():
    rng = np.random.default_rng(0)
    x = unit(rng.standard_normal((200, 32)))
    x[100:110] = unit(x[:10] + 0.02 * rng.standard_normal((10, 32)))
    group = semantic.near_duplicate_groups(x, 0.95)
    assert (group[:10] == group[100:110]).all()
    assert (group[:10] >= 0).all()
    assert (np.delete(group, [*range(10), *range(100, 110)]) == -1).all()
    assert len(set(group[:10])) == 10


def test_no_rows_no_groups():
    assert semantic.near_duplicate_groups(np.zeros((0, 4), np.float32)).shape == (0,)


def niches(*cells: str, covered: tuple[str, ...] = ()) -> list[Niche]:
    return [Niche(cell, cell in covered) for cell in cells]


def test_selection_keeps_the_budget_takes_kinds_in_turn_and_skips_twins():
    x = unit(np.random.default_rng(0).standard_normal((40, 16)))
    x[1] = x[0]
    hardness = np.linspace(1, 0, 40)
    kinds = ["leet"] * 30 + ["typo"] * 10
    one = niches(*["spam"] * 40)
    chosen = selection.select(hardness, x, one, kinds, 10)
    assert len(chosen) == len(set(chosen)) == 10
    assert sum(kinds[i] == "typo" for i in chosen) == 5
    assert 0 in chosen
    assert 1 not in chosen
    assert len(selection.select(hardness, x, one, kinds, 99)) == 40


def test_selection_takes_cells_in_turn_before_kinds_those_first_that_nothing_filled():
    x = unit(np.random.default_rng(0).standard_normal((40, 64)))
    hardness = np.linspace(1, 0, 40)
    cells = ["prize"] * 20 + ["loan"] * 17 + ["bank"] * 3
    kinds = (["leet", "typo", "merge", "spacing"] * 10)[:37] + ["leet"] * 3
    chosen = selection.select(hardness, x, niches(*cells, covered=("prize", "loan")), kinds, 12)
    assert [cells[i] for i in chosen] == ["bank", "prize", "loan"] * 3 + ["prize", "loan"] + ["prize"]
    assert {kinds[i] for i in chosen if cells[i] == "prize"} == {"leet", "typo", "merge", "spacing"}
    assert [i for i in chosen if cells[i] == "bank"] == [37, 38, 39], "the hardest first"
    assert selection.select(hardness[:0], x[:0], [], [], 5) == []
