from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redteam import archive
from redteam.archive import Archive, Entry
from sparring import registry
from sparring.embed import DummyEmbedder, unit
from sparring.record import Record, Step, synthetic

AXES = (("prize", "loan"), ("character", "dilution", "word"), ("de", "en"))
STRAY = "bank"  # a clause that is not among those that can be reached
FOUND = st.builds(
    lambda clause, families, language, objective, edited, round: (
        ((clause,), tuple(sorted(families)), (language,)), objective, edited, round
    ),
    st.sampled_from([*AXES[0], STRAY]), st.sets(st.sampled_from(AXES[1]), min_size=1), st.sampled_from(AXES[2]),
    st.sampled_from([0.0, 0.8, 0.81, 1.0]), st.sampled_from([0.1, 0.2]), st.integers(0, 3),
)  # fmt: skip


@st.composite
def some_entries(draw) -> list[Entry]:
    """In any order, with many equals."""
    found = draw(st.lists(FOUND, max_size=25))
    made = [Entry(f"e{i:02d}", values, objective, edited, 0.5, n) for i, (values, objective, edited, n) in enumerate(found)]
    return draw(st.permutations(made))


@given(entries=some_entries())
def test_the_order_in_which_successes_come_changes_nothing(entries):
    whole, by_one = Archive(AXES).add(sorted(entries, key=lambda e: e.id)), Archive(AXES)
    for entry in entries:
        by_one = by_one.add([entry])
    assert by_one.summary() == whole.summary()
    assert by_one.niches == whole.niches
    assert by_one.add(entries).summary() == whole.summary(), "what came twice counts once"


@given(entries=some_entries())
def test_a_cell_has_one_elite_the_best_of_all_that_fell_into_it(entries):
    found = Archive(AXES).add(entries)
    assert found.elites.keys() == {cell for e in entries for cell in e.cells}
    for cell, elite in found.elites.items():
        rivals = [e for e in entries if cell in e.cells]
        assert elite.objective == max(e.objective for e in rivals)
        equals = [e for e in rivals if e.objective == elite.objective]
        assert elite.edited == min(e.edited for e in equals), "between equals the fewer edits win"
        assert elite.id == min(e.id for e in equals if e.edited == elite.edited)
    cells = found.summary()["cells"]
    assert sum(c["count"] for c in cells) == sum(len(e.cells) for e in entries)


@given(entries=some_entries(), cut=st.integers(0, 25))
def test_no_elite_and_no_figure_ever_falls_and_coverage_is_a_share(entries, cut):
    before = Archive(AXES).add(entries[:cut])
    after = before.add(entries[cut:])
    assert all(after.elites[cell].objective >= elite.objective for cell, elite in before.elites.items())
    assert before.figures["coverage"] <= after.figures["coverage"]
    assert before.figures["qd_score"] <= after.figures["qd_score"] + 1e-9
    for found in (before, after):
        assert 0 <= found.figures["coverage"] <= 1
        filled = [cell for cell in found.elites if cell[0] != STRAY]
        assert found.figures["coverage"] == pytest.approx(len(filled) / 12, abs=1e-4)
        assert found.figures["qd_score"] == pytest.approx(sum(e.objective for e in found.elites.values()), abs=1e-4)


@given(entries=some_entries())
def test_a_niche_is_one_of_the_entrys_cells_and_not_covered_while_one_is_new(entries):
    found = Archive(AXES).add(entries)
    for entry in entries:
        niche = found.niches[entry.id]
        old = {cell for e in entries for cell in e.cells if e.round < entry.round}
        assert niche.cell in {"|".join(cell) for cell in entry.cells}
        assert niche.covered == old.issuperset(entry.cells)
        assert not (niche.cell in {"|".join(cell) for cell in old} and not niche.covered)


def test_an_empty_archive_has_figures_too():
    empty = Archive(AXES)
    assert empty.told(0) == {
        "coverage": 0.0, "qd_score": 0, "filled": 0, "reachable": 12, "successes": 0, "new": 0, "novelty": None,
    }  # fmt: skip
    assert Archive(((), (), ())).figures["coverage"] == 0.0
    assert empty.summary()["cells"] == []


def a_record(text: str, *operators: tuple[str, float], clause: str | None = None, **more) -> Record:
    steps = tuple(Step(name, strength, 0) for name, strength in operators)
    return synthetic(
        work=[text, clause], text=text, label_name="spam", clause=clause, policy="p", policy_version="1", operators=steps,
        parent_ids=("seed",), **more,
    )  # fmt: skip


def seed(text: str) -> Record:
    return dataclasses.replace(a_record(text), id="seed")


def test_a_record_stands_by_clause_or_label_by_each_family_and_by_language():
    chain = [("leet", 0.1), ("dilution", 0.5), ("typo", 0.1), ("merge", 0.2)]
    families = {registry.find("operator", name).family for name, _ in chain}
    (entry,) = archive.entries([a_record("w1n", *chain, language="en")], [seed("win")], [], DummyEmbedder(), round=0)
    assert set(entry.cells) == {("spam", name, "en") for name in families}
    assert entry.edited == 0.9
    assert archive.clause(a_record("x", clause="spam.prize")) == ("spam.prize",)
    assert archive.language(a_record("x")) == ("und",)
    assert archive.family(a_record("x")) == ("none",)


def test_the_nearer_to_its_parent_is_the_elite():
    parent = "you have won a prize, call now to claim your money before it is gone"
    won = [
        a_record(parent.replace("won", "w0n"), ("leet", 0.1)),
        a_record(parent.replace("won", "w0n").replace("prize", "pr1ze").replace("money", "m0n3y"), ("leet", 0.3)),
    ]
    found = archive.entries(won, [seed(parent)], [], DummyEmbedder(), round=0)
    assert found[0].objective > found[1].objective
    assert [e.id for e in Archive(AXES).add(found).elites.values()] == [won[0].id]
    assert archive.entries([], [], won, DummyEmbedder(), round=1) == []


def test_novelty_is_the_mean_distance_to_the_nearest_earlier_successes():
    earlier = unit(np.random.default_rng(0).standard_normal((40, 16)))
    new = np.concatenate([earlier[:2], unit(np.random.default_rng(1).standard_normal((3, 16)))])
    found = archive.novelty(new, earlier, k=5)
    expected = [np.sort(1 - earlier @ row)[:5].mean() for row in new]
    assert found == pytest.approx(np.clip(expected, 0, 1), abs=1e-5)
    assert archive.novelty(new, earlier[:2], k=5)[0] == pytest.approx((1 - earlier[0] @ earlier[1]) / 2, abs=1e-5)
    assert (archive.novelty(new, earlier[:0]) == 1).all(), "there is nothing to be near to"
    assert archive.novelty(new[:0], earlier).shape == (0,)
