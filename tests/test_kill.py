"""SIGKILL at ten random points of a run: the same command resumes, and nothing tells the result from an unbroken run."""

from __future__ import annotations

import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from sparring.publishing import beside

KILLS = 10


def start(job: pathlib.Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "sparring", "run", str(job)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def commits(folder: pathlib.Path) -> list[dict]:
    return [json.loads(p.read_text()) for p in sorted((folder / "commits").glob("*.json"))] if folder.exists() else []


@pytest.mark.slow
def test_killed_ten_times_the_run_has_the_same_rows_and_ids_none_twice(tiny_job, tmp_path):
    settings = {"attack__train_seeds": 120}
    job = tiny_job(runs=str(tmp_path / "whole"), **settings)
    assert start(job).wait() == 0
    whole = tmp_path / "whole" / "tiny"
    units = len(commits(whole))

    job = tiny_job(runs=str(tmp_path / "broken"), **settings)
    broken, rng = tmp_path / "broken" / "tiny", random.Random(0)
    points = sorted(rng.sample(range(1, units), KILLS))
    for point in points:
        process = start(job)
        while process.poll() is None and len(commits(broken)) < point:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.05)  # somewhere inside the next unit
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = start(job)
    assert process.wait() == 0, process.stderr.read().decode()

    done = commits(broken)
    assert len({entry["path"] for entry in done}) == len(done) == units, "a committed unit was done again"
    for shard in sorted(p.relative_to(whole) for p in whole.rglob("*.parquet")):
        first, second = pq.read_table(whole / shard), pq.read_table(broken / shard)
        assert first.equals(second), shard
        if "id" in first.column_names and "mined" not in shard.parts:
            keys = beside.KEYS.get(shard.parent.name, ["id"])
            ids = [tuple(row.values()) for row in second.select(keys).to_pylist()]
            assert len(set(ids)) == len(ids), shard
    left, right = (json.loads((f / "summary.json").read_text()) for f in (whole, broken))
    for found in (left, right):
        for entry in [found, *found["rounds"]]:
            del entry["seconds"]
            entry.pop("dataset")
    assert left == right
