from __future__ import annotations

import json

import pyarrow as pa
import pytest

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


@pytest.mark.parametrize("damage", ["cut", "gone", "commit"])
def test_damage_is_found_and_the_unit_is_made_again(tmp_path, damage):
    with open_run(tmp_path, {}) as run:
        run.table("part.parquet", "k", table([1, 2, 3]))
    if damage == "cut":
        (tmp_path / "part.parquet").write_bytes((tmp_path / "part.parquet").read_bytes()[:-7])
    elif damage == "gone":
        (tmp_path / "part.parquet").unlink()
    else:
        (tmp_path / "commits" / "000000.json").write_text("{half")
    with open_run(tmp_path, {}) as run:
        assert run.table("part.parquet", "k", table([1, 2, 3])).num_rows == 3
        assert run.units_done == 1


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
