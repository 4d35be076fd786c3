"""The nightly example, really on its schedule: three runs, the second killed while it works."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from sparring import check, jobs, log, schedule

NIGHTLY = pathlib.Path(__file__).parent.parent / "examples" / "nightly"


def test_the_nightly_job_passes_its_check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job = jobs.load(NIGHTLY / "nightly.yaml")
    assert (job.name, job.series) == ("nightly-0001", True)
    assert "4534 unique rows" in check.check(job)["data"]


@pytest.mark.slow
def test_three_nights_unattended_the_second_killed(tmp_path):
    done = subprocess.run([sys.executable, str(NIGHTLY / "try.py"), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + (tmp_path / "scheduler.txt").read_text()
    shown = (NIGHTLY / "README.md").read_text(encoding="utf-8")
    assert all(line.split()[0] in shown for line in done.stdout.split("costs")[0].splitlines() if line.strip()), "as shown"
    runs = {
        path.name: json.loads((path / "summary.json").read_text()) for path in sorted((tmp_path / "runs").glob("nightly-*"))
    }
    assert list(runs)[:3] == ["nightly-0001", "nightly-0002", "nightly-0003"]
    assert [runs[name]["seed"] for name in list(runs)[:3]] == [0, 1, 2]
    outcomes = schedule.outcomes(tmp_path / "runs" / "schedule.db")
    assert [(o.code, o.tries) for o in outcomes[:3]] == [(0, 1), (0, 2), (0, 1)], "tried again after the kill"
    killed = tmp_path / "runs" / "nightly-0002"
    events = [line["event"] for line in log.read(killed)]
    assert (events.count("started"), events.count("lease_taken_over"), events[-1]) == (2, 1, "ended")
    paths = [json.loads(p.read_text())["path"] for p in (killed / "commits").glob("*.json")]
    assert len(set(paths)) == len(paths), "no finished part was done again"
    for name in list(runs)[:3]:
        ids = [
            i
            for p in (tmp_path / runs[name]["dataset"]["path"]).glob("data/*.parquet")
            for i in pq.read_table(p)["id"].to_pylist()
        ]
        assert len(set(ids)) == len(ids) == runs[name]["dataset"]["rows"]
