from __future__ import annotations

import json
import random
import shutil
import subprocess
import time

import pyarrow as pa
import pytest

from sparring import log
from sparring.errors import JobError, RunHeld
from sparring.store import open_run, source_of


def table(values):
    return lambda: pa.table({"x": values})


def test_a_committed_unit_is_kept_and_a_changed_key_is_made_again(tmp_path):
    made = []

    def make(value):
        def go():
            made.append(value)
            return pa.table({"x": [value]})

        return go

    for key, value, expected in (("a", 1, 1), ("a", 2, 1), ("b", 3, 3)):
        with open_run(tmp_path / "run", {"job": 1}) as run:
            assert run.table("round-00/part-00000.parquet", key, make(value)).to_pylist() == [{"x": expected}]
    assert made == [1, 3]


@pytest.mark.parametrize("damage", ["cut", "gone", "flipped"])
def test_a_damaged_shard_is_found_said_and_made_again(tmp_path, damage):
    with open_run(tmp_path, {}) as run:
        run.table("part.parquet", "k", table([1, 2, 3]))
    part = tmp_path / "part.parquet"
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:-7])
    elif damage == "gone":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:20] + b"\xff" + part.read_bytes()[21:])
    with open_run(tmp_path, {}) as run:
        assert run.table("part.parquet", "k", table([1, 2, 3])).num_rows == 3
        assert run.units_done == 1
    assert {"unit": "part.parquet", "damaged": True}.items() <= said(tmp_path, "made_again")[0].items()


def said(folder, event):
    return [line for line in log.read(folder) if line["event"] == event]


@pytest.mark.parametrize("damage", ["half", "empty", "gone", "all gone", "copies gone", "copies cut"])
def test_no_finished_part_is_done_again_because_a_small_file_is_missing(tmp_path, damage):
    with open_run(tmp_path, {"job": 1}) as run:
        for name in "abc":
            run.json(f"{name}.json", "k", list)
    entry, copies = tmp_path / "commits" / "000001.json", tmp_path / "commits.jsonl"
    if damage == "half":
        entry.write_text(entry.read_text()[:30])
    elif damage == "empty":
        entry.write_text("")
    elif damage == "gone":
        entry.unlink()
    elif damage == "all gone":
        shutil.rmtree(tmp_path / "commits")
    elif damage == "copies gone":
        copies.unlink()
    else:
        copies.write_text(copies.read_text()[:-40])
    for _ in range(2):
        with open_run(tmp_path, {"job": 1}) as run:
            for name in "abc":
                run.json(f"{name}.json", "k", list)
            assert run.units_done == 0
            run.json(f"{damage}.json", "k", list)
        assert sorted(int(p.stem) for p in (tmp_path / "commits").glob("*.json")) == [0, 1, 2, 3]
    assert len(said(tmp_path, "commit_restored")) == {"all gone": 3, "copies gone": 0, "copies cut": 0}.get(damage, 1)


def test_a_missing_or_damaged_manifest_is_restored_for_the_same_job_and_another_is_refused(tmp_path):
    for damage in (lambda path: path.unlink(), lambda path: path.write_text("{half")):
        with open_run(tmp_path, {"seed": 0}) as run:
            run.json("a.json", "k", list)
        damage(tmp_path / "manifest.json")
        with (
            pytest.raises(JobError, match=r"lost its manifest.json and holds a run of another job"),
            open_run(tmp_path, {"seed": 1}),
        ):
            pass
        with open_run(tmp_path, {"seed": 0}) as run:
            run.json("a.json", "k", list)
            assert run.units_done == 0
        assert said(tmp_path, "manifest_restored")
        assert json.loads((tmp_path / "manifest.json").read_text())["seed"] == 0


def test_a_full_disk_ends_the_unit_and_the_rerun_goes_on(tmp_path):
    """Really full: a small file system where it may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", disk], capture_output=True).returncode:
        pytest.skip("NOT TESTED here: mounting a small file system needs root")
    rows = random.Random(0).choices(range(10**9), k=60_000)
    try:
        with open_run(disk / "run", {}) as run:
            run.json("small.json", "k", list)
            with pytest.raises(OSError, match="No space left"):
                run.table("large.parquet", "k", table(rows))
            assert not (disk / "run" / "large.parquet").exists()
        subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
        with open_run(disk / "run", {}) as run:
            run.json("small.json", "k", list)
            assert run.table("large.parquet", "k", table(rows)).column("x").to_pylist() == rows
            assert run.units_done == 1
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(OSError, match="Read-only"), open_run(disk / "run", {}):
            pass
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_clock_that_jumps_back_neither_loses_nor_repeats_a_unit(tmp_path, monkeypatch):
    clock = iter([4e9, 1e9, 0.0] * 1000)
    monkeypatch.setattr(time, "time", lambda: next(clock))
    for n in (1, 2, 3):
        with open_run(tmp_path, {}) as run:
            for i in range(n):
                run.json(f"{i}.json", "k", list)
            assert run.units_done == 1
            assert run.seconds("") < 60


def test_a_unit_that_fails_leaves_nothing_behind(tmp_path):
    with open_run(tmp_path, {}) as run:
        with pytest.raises(ZeroDivisionError):
            run.json("x.json", "k", lambda: 1 / 0)
        assert not (tmp_path / "x.json").exists()
    with open_run(tmp_path, {}) as run:
        assert run.json("x.json", "k", lambda: [1]) == [1]


def test_a_second_process_is_told_who_holds_the_run(tmp_path):
    with open_run(tmp_path, {}), pytest.raises(RunHeld, match=r"held by process \d+ on "), open_run(tmp_path, {}):
        pass


def test_a_folder_of_another_job_is_refused_and_names_what_changed(tmp_path):
    with open_run(tmp_path, {"seed": 0, "name": "a"}):
        pass
    with pytest.raises(JobError, match="seed changed"), open_run(tmp_path, {"seed": 1, "name": "a"}):
        pass


def test_the_commit_log_is_numbered_and_readable(tmp_path):
    with open_run(tmp_path, {}) as run:
        run.json("a.json", 1, dict)
        run.json("b.json", 1, dict)
    entries = [json.loads(p.read_text()) for p in sorted((tmp_path / "commits").iterdir())]
    assert [e["path"] for e in entries] == ["a.json", "b.json"]


def test_source_of_tells_modules_apart():
    assert source_of(open_run) == source_of(source_of) != source_of(json)
