"""The examples as they are shipped: every job passes its check; the demo's own job runs, small, with all of it real."""

from __future__ import annotations

import json
import pathlib

import datasets
import pytest
import yaml

from sparring import check, jobs

EXAMPLES = sorted((pathlib.Path(__file__).parent.parent / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_passes_its_check(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "4534 unique rows" in check.check(jobs.load(path))["data"]


@pytest.mark.slow
def test_the_demo_runs_small_with_every_part_real(tmp_path, spar):
    (demo,) = (p for p in EXAMPLES if p.stem == "sms_spam")
    job = yaml.safe_load(demo.read_text(encoding="utf-8"))
    job |= {"runs": str(tmp_path / "runs"), "rounds": 1, "policy": str(demo.parent / job["policy"]), "threads": 1}
    job["synth"]["samples"] = 6
    job["attack"] |= {"train_seeds": 30, "test_seeds": 30, "payoff_seeds": 10, "warmup": 600}
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job), encoding="utf-8")
    folder = spar(path)
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    before, after = found["rounds"]
    assert before["valid_asr_fresh"][0] >= 0.3
    assert before["clean"]["f1"][0] > 0.9
    assert after["asr_frozen"][0] <= 0.5 or not after["promoted"]
    assert before["generated"] == 6
    assert before["accepted"] + sum(before["rejected"].values()) >= 6
    rows = datasets.load_dataset(found["dataset"]["path"], cache_dir=str(tmp_path / "cache"))
    makers = {row["generator"]["name"] for row in rows["train"] if row["origin"] == "synthetic"}
    assert {"greedy", "benign_twin"} <= makers
    assert (folder / "report.html").stat().st_size > 20_000
