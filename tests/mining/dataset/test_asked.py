"""Models that mining asks: the user's classifier and a guard; and what it does without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml

from mining.dataset import asked, command
from mining.dataset.mine import Settings, mine
from mining.dataset.read import Columns, read
from sparring import registry
from sparring.errors import DataError, UserError
from sparring.policy import load
from tests.mining.dataset.test_mine import SPAM, rows

QUICK = Settings(budget=12, plantings=0)
COLUMNS = Columns(labels="label", text="text", key="key", renamed={"ham": "benign"})


class Words:
    """Decides by spam words, all seven of them, so that every disguise of one turns it."""

    labels, threshold = ("benign", "spam"), 0.5

    def predict_proba(self, samples):
        p = np.array([0.9 if sum(word in SPAM for word in text.split()) > 6 else 0.1 for text in samples])
        return np.stack([1 - p, p], 1).astype(np.float32)


def read_rows(source=None, **more):
    return read(source or rows(), COLUMNS, names=("benign", "spam"), **more)


def test_a_target_gives_scores_and_disguises_that_turn_it_make_rows_harder():
    given = read_rows()
    plain = mine(asked.scored(given, Words()), embedder="wordllama", settings=QUICK)
    found = mine(given, embedder="wordllama", settings=QUICK, target=Words())
    assert found.facts["share of disguises that turn the target's decision, of the hardest rows"] > 0
    assert "slices are of" not in found.facts, "they are the target's"
    turned = asked.flips(given, Words(), np.zeros(len(given)), threshold=0.5, seed=0)
    order = {id: i for i, id in enumerate(given.ids)}
    for after, before in zip(found.table.to_pylist(), plain.table.to_pylist(), strict=True):
        if turned[order[after["id"]]] > before["hardness"]:
            assert after["hardness"] > before["hardness"], "it is one part more"
    assert (turned > 0.5).any()
    with pytest.raises(DataError, match="expected a target of the labels benign, spam; it has benign, other"):
        mine(given, settings=QUICK, target=type("Other", (Words,), {"labels": ("benign", "other")})())


def test_flips_are_measured_on_the_hardest_labelled_rows_alone(monkeypatch):
    given = read_rows()
    monkeypatch.setattr(asked, "DISGUISED", 20)
    hardness = np.linspace(0, 1, len(given))
    turned = asked.flips(given, Words(), hardness, threshold=0.5, seed=0)
    assert set(np.flatnonzero(np.isfinite(turned))) <= set(range(len(given) - 20, len(given)))
    assert np.array_equal(turned, asked.flips(given, Words(), hardness, threshold=0.5, seed=0), equal_nan=True)


def test_a_guard_is_a_view_of_disputed_rows_or_it_is_said_why_not(tmp_path, policy_path):
    settings = tmp_path / "guard.yaml"
    settings.write_text(yaml.safe_dump({"verdicts": {"kind": "dummy"}}))
    guard = asked.guard_at(settings, load(policy_path))
    found = mine(read_rows(), embedder="dummy", settings=QUICK, guard=guard)
    reasons = [why for r in found.table.to_pylist() for why in r["reasons"]]
    silent = [note for note in found.notes if note.startswith("the guard is not heard")]
    assert any("guard" in why for why in reasons) != bool(silent)
    with pytest.raises(DataError, match="expected a guard of the labels ham, spam"):
        mine(read(rows(), replace(COLUMNS, renamed={})), settings=QUICK, guard=guard)
    with pytest.raises(UserError, match="expected a policy"):
        asked.guard_at(settings, None)
    settings.write_text("- a list")
    with pytest.raises(UserError, match="expected settings by name"):
        asked.guard_at(settings, load(policy_path))


def test_training_dynamics_are_a_view():
    source = rows()
    known = np.array([[0.1, 0.9] if i % 4 == 0 else [0.9, 0.1] for i in range(160)] + [[0.9, 0.1]] * 4)
    found = mine(read_rows(source, dynamics=known), embedder="dummy", settings=QUICK)
    told = {r["id"]: r for r in found.table.to_pylist()}
    assert sum(any("dynamics" in why for why in told[f"k{i:04d}"]["reasons"]) for i in range(0, 40, 4)) >= 8
    with pytest.raises(DataError, match="view 'dynamics'"):
        mine(read_rows(source, dynamics=2 * known), embedder="dummy", settings=QUICK)


@pytest.mark.parametrize("scores", [None, "some"])
def test_unlabelled_rows_without_scores_are_judged_by_the_views(scores):
    source = rows()
    source["label"] = [label if i % 2 == 0 or i % 5 == 0 else None for i, label in enumerate(source["label"])]
    if scores:
        source["p"] = [[float("nan")] * 2 if label is None else [0.8, 0.2] for label in source["label"]]
    columns = replace(COLUMNS, scores="p" if scores else None)
    found = mine(read(source, columns, names=("benign", "spam")), embedder="dummy", settings=QUICK)
    assert any("judged by the views" in note for note in found.notes)
    told = {r["id"]: r for r in found.table.to_pylist()}
    assert all(told[id]["label"] is None for id in [*found.selected, *found.facts["near misses"]])
    assert found.facts["near misses"]


def test_one_unlabelled_row_is_enough():
    source = rows()
    source["label"][3] = None
    assert mine(read_rows(source), embedder="dummy", settings=QUICK).selected


def test_why_there_is_no_curve_is_said(monkeypatch):
    def refuse(*_, **__):
        raise DataError("expected something else")

    monkeypatch.setattr("mining.dataset.mine.worth.worth", refuse)
    found = mine(read_rows(), embedder="dummy", settings=Settings(budget=12, plantings=1))
    assert "what a review is worth was not measured: expected something else" in found.notes


def test_the_command_takes_a_saved_target_and_its_threshold(tmp_path):
    source = rows()
    labels = ["spam" if label == "spam" else "benign" for label in source["label"]]
    target = registry.make("target", "sklearn").fit(source["text"], labels, names=("benign", "spam"), seed=0)
    target.threshold = 0.9
    target.save(tmp_path / "run" / "target")
    (tmp_path / "run" / "manifest.json").write_text('{"target": {"kind": "sklearn"}}')
    place = tmp_path / "run" / "target"
    assert asked.target_at(place).threshold == 0.9
    mined = command.run(source, COLUMNS, tmp_path / "out", settings=QUICK, embedder="dummy", target=place)
    assert "slices are of" not in mined.result.facts
