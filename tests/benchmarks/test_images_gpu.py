"""The benchmark for GPUs runs here on tiny random pipelines: what it prints is real, and says nothing about a GPU."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("example", ["images_sdxl", "images_flux"])
def test_a_tiny_pipeline_in_place_of_the_examples_own_goes_all_the_way(example):
    words = [sys.executable, "benchmarks/images_gpu.py", "--tiny", "--seeds", "3", "--job", f"examples/{example}.yaml"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout[done.stdout.index("{") :])
    rows = {(row["setting"], row["metric"]): row for row in said["rows"]}
    assert {setting for setting, _ in rows} == {"bare", "drawn", "redrawn", "guided", "attack"}
    for way in ("bare", "drawn", "redrawn", "guided"):
        assert rows[way, "images_s"]["ours"] > 0
    assert rows["guided", "images_s"]["peer"] == rows["bare", "images_s"]["ours"]
    assert rows["attack", "accepted_gpu_hour"]["ours"] >= 0
    assert said["images"] == 3
    assert said["queries"] > 0
    assert (said["tiny"], said["batch"]) == (True, 4)


def test_without_a_gpu_it_says_so():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    words = [sys.executable, "benchmarks/images_gpu.py"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "expected a GPU, torch sees none. Fix: --tiny" in done.stderr
