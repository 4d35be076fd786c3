from __future__ import annotations

import numpy as np
import pytest

from mining import slices
from sparring.embed import unit
from sparring.errors import DataError, UserError


def topics(n: int = 800, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of eight topics, topic and error of each row; the target fails on 45% of topic 3, on 5% elsewhere."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(8, size=n)
    x = unit(np.eye(8, 16)[topic] + 0.1 * rng.standard_normal((n, 16)))
    return x, topic, rng.random(n) < np.where(topic == 3, 0.45, 0.05)


def test_a_planted_slice_is_found_in_the_embedding_with_its_size_lift_and_words():
    x, topic, errors = topics()
    texts = [f"message about {['cats', 'dogs', 'cars', 'loans', 'tea', 'rain', 'golf', 'jazz'][t]} today" for t in topic]
    found = slices.find(errors, np.arange(800), vectors=x, texts=texts, clusters=(8,))
    assert found, "nothing found"
    assert (topic[found[0].rows] == 3).mean() > 0.95
    assert (topic == 3)[found[0].rows].sum() > 0.9 * (topic == 3).sum()
    assert found[0].words[0] == "loans"
    assert found[0].low < found[0].rate < found[0].high
    assert found[0].lift > 3
    assert found[0].p <= 0.05


def test_a_planted_attribute_is_found_and_its_twin_is_pruned():
    _, topic, errors = topics()
    named = {
        "language": np.where(topic == 3, "de", "en"),
        "source": np.where(topic == 3, "forum", None),
        "week": np.arange(800) % 2,
    }
    found = slices.find(errors, np.arange(800), attributes=named)
    assert [s.name for s in found] == ["language=de"], "source=forum holds the same rows"


def test_shuffled_errors_have_no_slice_in_nineteen_of_twenty_runs():
    x, topic, errors = topics(400)
    false = 0
    for seed in range(60):
        shuffled = np.random.default_rng(seed).permutation(errors)
        false += bool(
            slices.find(shuffled, np.arange(400), vectors=x, attributes={"topic": topic}, clusters=(5, 10), seed=seed)
        )
    assert false <= 6, "more than 10% of 60 runs: at 5% this happens once in a hundred"


def test_copies_of_one_error_are_no_slice():
    rng = np.random.default_rng(0)
    groups = np.r_[np.arange(300), np.full(60, 300)]
    errors = np.r_[rng.random(300) < 0.05, np.ones(60, bool)]
    assert slices.find(errors, groups, attributes={"campaign": ["none"] * 300 + ["one"] * 60}) == ()


def test_the_same_seed_gives_the_same_slices_and_names_of_groups_do_not_matter():
    x, _, errors = topics()
    groups = np.arange(800) // 2
    first, again = (slices.find(errors, g, vectors=x, seed=3) for g in (groups, -groups))
    assert [(s.name, s.p) for s in first] == [(s.name, s.p) for s in again]


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows_and_one_row_have_no_slice(rows: int):
    assert slices.find(np.ones(rows, bool), np.arange(rows), vectors=np.ones((rows, 2)), attributes={"a": ["x"] * rows}) == ()


def test_bad_input_is_named():
    with pytest.raises(DataError, match="expected 3 vectors, one for each row, got 2"):
        slices.find(np.ones(3, bool), np.arange(3), vectors=np.ones((2, 2)))
    with pytest.raises(DataError, match="expected errors as booleans, got float64"):
        slices.find(np.ones(3), np.arange(3))
    with pytest.raises(DataError, match="finite vectors"):
        slices.find(np.ones(3, bool), np.arange(3), vectors=np.full((3, 2), np.nan))
    with pytest.raises(UserError, match="`smallest` of at least 1"):
        slices.find(np.ones(3, bool), np.arange(3), smallest=0)
