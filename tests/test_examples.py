"""The examples as they are shipped: every job passes its check; the demo's own job runs, small, with all of it real."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import datasets
import pyarrow.parquet as pq
import pytest
import yaml

from sparring import check, jobs

EXAMPLES = sorted((pathlib.Path(__file__).parent.parent / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_passes_its_check(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = jobs.load(path)
    drawn = job.data.source.startswith("data/")  # by a script of the data's name
    if drawn:
        out = tmp_path / "rows.parquet"
        script = path.parent / f"{pathlib.Path(job.data.source).stem}.py"
        few = {"flyers": ["150"], "stamps": ["150", "64"]}
        words = [sys.executable, str(script), str(out), *few.get(script.stem, [])]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        job = job.model_copy(update={"data": job.data.model_copy(update={"source": str(out)})})
    rows = int(check.check(job)["data"].split()[0])
    assert rows >= 150 if drawn else rows == 4534


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


def test_any_dataset_is_mined_by_the_example(tmp_path):
    script = EXAMPLES[0].parent / "mine_any_dataset.py"
    words = [sys.executable, str(script), str(tmp_path), "--rows", "240", "--embedder", "wordllama"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    for name, labels in (("sms", {"ham", "spam"}), ("digits", {str(n) for n in range(10)})):
        assert str(tmp_path / name / "report.html") in found.stdout
        assert (tmp_path / name / "report.html").stat().st_size > 10_000
        table = pq.read_table(tmp_path / name / "mined.parquet")
        assert table.num_rows == 240
        assert set(table["label"].to_pylist()) == labels
    assert "Free entry" not in found.stdout, "no texts"
