"""The active-learning benchmark on its made data, and the arithmetic of its figures."""

from __future__ import annotations

import importlib.util
import pathlib

import numpy as np
import pytest
from sklearn.metrics import f1_score

PATH = pathlib.Path(__file__).parents[2] / "benchmarks" / "miners" / "active.py"


@pytest.fixture(scope="module")
def active():
    spec = importlib.util.spec_from_file_location("active", PATH)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["active"] = found
    spec.loader.exec_module(found)
    return found


def test_quick_runs_every_selector_within_its_budget(active):
    rows, details = active.rows(quick=True)
    by = details["active_rare"]["blobs"]
    assert set(by) == {"mixed", *active.PEERS}
    for selector, found in by.items():
        (run,) = found["runs"]
        assert run["found"] == sorted(run["found"])
        assert run["found"][-1] <= run["of"]
        assert found["positives_per_100"] == run["found"][-1] / 5
        assert (run["prevalence"] is not None) == (selector == "mixed"), "ours alone pays for an audit"
        assert found["f1_best_threshold"] >= found["f1"]
    assert by["mixed"]["positives_per_100"] > 3 * by["random"]["positives_per_100"]
    assert by["margin"]["runs"][0]["found"] == by["entropy"]["runs"][0]["found"], "alike with two labels"
    named = {(row.setting, row.metric) for row in rows}
    assert {("active_rare", "positives_per_100"), ("active_rare", "f1_minus_best")} <= named


def test_the_pool_and_the_weights_are_at_two_per_cent(active):
    task = active.task("blobs", 0)
    assert task.labels.mean() == pytest.approx(0.02, abs=0.001)
    assert np.average(task.truth, weights=task.weight) == pytest.approx(0.02)
    assert task.truth.mean() > 0.1


def test_f1_at_a_half_and_at_the_best_threshold(active):
    task = active.task("blobs", 0)
    score = np.random.default_rng(0).random(len(task.truth)) + 0.3 * task.truth
    half, best = active.f1s(task, score)
    each = [f1_score(task.truth, score >= cut, sample_weight=task.weight) for cut in np.linspace(0, 1.3, 200)]
    assert half == f1_score(task.truth, score > 0.5, sample_weight=task.weight)
    assert best == pytest.approx(max(each), abs=0.01)
    assert best >= max(each) - 1e-9


def test_the_headline_is_the_data_set_where_ours_stands_worst(active):
    def of(ours: float, peer: float) -> dict:
        names = ("mixed", *active.PEERS)
        return {
            n: dict.fromkeys(("positives_per_100", "f1", "f1_best_threshold"), ours if n == "mixed" else peer) for n in names
        }

    rows = {(r.setting, r.metric): r for r in active.figures({"sms": of(0.5, 0.4), "mnist": None, "blobs": of(0.3, 0.35)})}
    assert rows["active_rare", "f1_minus_best"].ours == -0.05
    assert rows["active_rare", "positives_per_100"].ours == 0.3
    assert rows["active_rare_sms", "f1"].peer == 0.4
    assert not any(setting == "active_rare_mnist" for setting, _ in rows)
