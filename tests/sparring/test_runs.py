"""What `sparring runs` says of run folders, and that it removes no run that somebody needs."""

from __future__ import annotations

import json
import shutil

import pytest
from typer.testing import CliRunner

import cli
from sparring import log, runs
from sparring.errors import UserError
from sparring.store import open_run


def run(folder, name, *, finished=True, rows=100, **summary):
    with open_run(folder / name, {"name": name, "seed": len(name), "attack": {"budget": rows}}) as held:
        held.json("a.json", "k", list)
    if finished:
        told = {"rounds": [{"valid_asr_fresh": [0.25, 0.2, 0.3, 9], "clean": {"f1": [0.9, 0.8, 1.0, 9]}}], "seconds": 3.5}
        told |= {"dataset": {"rows": rows, "path": str(folder / name / "d")}, "costs": {"queries": 77}, "stopped": None}
        (folder / name / "summary.json").write_text(json.dumps(told | summary), encoding="utf-8")


def sparring(*words):
    result = CliRunner().invoke(cli.app, ["runs", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.output


def test_every_state_of_a_run_is_told(tmp_path):
    run(tmp_path, "done")
    run(tmp_path, "limited", stopped={"limit": "tokens", "used": 7, "most": 5})
    run(tmp_path, "begun", finished=False)
    with pytest.raises(RuntimeError), open_run(tmp_path / "broken", {}):
        raise RuntimeError
    (tmp_path / ".ledger").mkdir()
    with open_run(tmp_path / "working", {}):
        found = {f.name: f for f in runs.listed(tmp_path)}
    assert {name: f.status for name, f in found.items()} == {
        "done": "finished", "limited": "stopped", "begun": "unfinished", "broken": "failed", "working": "running",
    }  # fmt: skip
    assert found["limited"].detail == "tokens 7 of 5"
    assert found["broken"].detail == "RuntimeError, exit code 1"
    assert found["working"].detail.startswith("process ")
    assert (found["done"].valid_asr, found["done"].f1, found["done"].queries) == (0.25, 0.9, 77)
    assert json.loads(sparring("list", "--runs", tmp_path, "--json"))[1]["name"] == "broken"
    assert "finished" in sparring("list", "--runs", tmp_path)


def test_a_run_shows_what_was_repaired(tmp_path):
    run(tmp_path, "done")
    (tmp_path / "done" / "commits" / "000000.json").unlink()
    run(tmp_path, "done")
    found = json.loads(sparring("show", tmp_path / "done", "--json"))
    assert (found["starts"], found["repairs"]) == (2, {"commit_restored": 1})
    with pytest.raises(UserError, match="expected a run folder"):
        runs.shown(tmp_path / "nothing")


def test_two_runs_are_compared_by_settings_figures_and_rows(tiny_job, spar, tmp_path):
    first = spar(tiny_job(rounds=0, retrain="none"))
    second = spar(tiny_job(rounds=0, retrain="none", name="other", attack__budget=10))
    found = runs.differences(first, second)
    assert found["job"] == {"attack.budget": [20, 10], "name": ["tiny", "other"]}
    assert found["rows"]["shared"] >= 400
    assert found["rows"]["removed"] > 0, "a smaller budget finds fewer"
    assert "attack.budget" in sparring("diff", first, second)


def test_prune_keeps_the_newest_of_each_series_and_whatever_is_not_finished(tmp_path):
    for n in range(1, 5):
        run(tmp_path, f"nightly-{n:04d}")
    run(tmp_path, "nightly-0005", finished=False)
    run(tmp_path, "alone")
    with open_run(tmp_path / "nightly-0001", {"name": "nightly-0001", "seed": 12, "attack": {"budget": 100}}):
        assert runs.prune(tmp_path, keep=2, sure=False) == ["nightly-0002"], "the first is being worked on"
    assert sparring("prune", "--runs", tmp_path, "--keep", 2).splitlines() == [
        "would remove (--yes does)  nightly-0001", "would remove (--yes does)  nightly-0002",
    ]  # fmt: skip
    assert len(runs.listed(tmp_path)) == 6
    sparring("prune", "--runs", tmp_path, "--keep", 2, "--yes")
    assert [f.name for f in runs.listed(tmp_path)] == ["alone", "nightly-0003", "nightly-0004", "nightly-0005"]


def test_a_run_that_lost_its_log_is_listed(tmp_path):
    run(tmp_path, "done", finished=False)
    (tmp_path / "done" / log.FILE).unlink()
    shutil.rmtree(tmp_path / "done" / ".aside")
    assert runs.look(tmp_path / "done").status == "unfinished"
