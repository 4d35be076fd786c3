"""The stored figures of self-play follow from their tables, and the quick run is real."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def selfplay():
    spec = importlib.util.spec_from_file_location("selfplay", ROOT / "benchmarks/selfplay.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_the_stored_figures_follow_from_the_stored_tables(selfplay):
    stored = selfplay.shared.read("selfplay")
    assert set(stored["details"]) <= set(selfplay.TARGETS)
    assert stored["details"]
    assert [selfplay.shared.asdict(row) for row in selfplay.rows(stored["details"])] == stored["rows"]


def test_the_tables_are_whole(selfplay):
    for setting, found in selfplay.shared.read("selfplay")["details"].items():
        assert [entry["round"] for entry in found["rounds"]] == list(range(selfplay.ROUNDS + 1)), setting
        trained = {selfplay.registry.find("operator", n).family for n in selfplay.AttackSettings().operators}
        assert trained - {*selfplay.LATER} <= set(found["left_out"]) <= set(selfplay.families())
        assert set(found["arms"]) == {"ours", "same_data_new_seed", "random_operators", "without_mining"}
        for side in found["attack"].values():
            assert 0 <= side["valid_asr"] <= side["asr_normalised"] <= side["asr"] <= 1
            assert side["queries"] <= selfplay.CAPS[setting]
            assert side["seeds"] >= 0.7 * selfplay.SEEDS[setting]
        for family, pair in found["left_out"].items():
            defaults = {
                n for n in selfplay.AttackSettings().operators if selfplay.registry.find("operator", n).family == family
            }
            assert set(pair["trained_without"]) == defaults, "every default operator of the family was left out"


def test_a_family_that_hardly_got_past_the_first_target_tells_nothing(selfplay):
    def pair(first: float, last: float) -> dict:
        return {"first": {"valid_asr": first}, "last": {"valid_asr": last}}

    found = {"dilution": pair(0.5, 0.2), "word": pair(0.4, 0.3), "script": pair(0.04, 0.04)}
    assert selfplay.left_out_drop(found) == pytest.approx(0.25)
    assert selfplay.left_out_drop({"script": pair(0.04, 0.0)}) is None


@pytest.mark.slow
def test_a_quick_run_spars_once():
    done = subprocess.run(
        [sys.executable, "benchmarks/selfplay.py", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=1800,
    )
    rows = {row["metric"]: row for row in json.loads(done.stdout)}
    assert set(rows) == {
        "asr_frozen", "valid_asr_drop", "left_out_drop", "clean_f1_low", "fpr_benign_worst", "valid_asr_fresh", "ahead_of_arms",
    }  # fmt: skip
    assert all(row["setting"] == "strong" for row in rows.values())
    assert rows["valid_asr_fresh"]["peer"] is not None
