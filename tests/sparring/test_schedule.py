"""The schedule in its SQLite file: real processes, real restarts."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from sparring import jobs, schedule
from sparring.errors import MissingExtra, UserError

# What stands in for the command: notes that it ran, then ends as it is told, or stands still.
STAND_IN = """
import json, pathlib, sys, time
notes = pathlib.Path({notes!r})
runs = json.loads(notes.read_text()) if notes.exists() else []
notes.write_text(json.dumps([*runs, time.time()]))
code = {codes!r}[len(runs)] if len(runs) < len({codes!r}) else 0
time.sleep(600 if code is None else 0)
sys.exit(code)
"""


@pytest.fixture
def store(tmp_path) -> pathlib.Path:
    return tmp_path / "schedule.db"


@pytest.fixture
def ended(tmp_path, monkeypatch):
    """Makes the command end with these codes in turn (None: not at all); returns when it ran."""

    def script(*codes):
        path = tmp_path / "command.py"
        path.write_text(STAND_IN.format(notes=str(tmp_path / "notes.json"), codes=list(codes)), encoding="utf-8")
        monkeypatch.setattr(schedule, "COMMAND", (sys.executable, str(path)))
        return lambda: json.loads((tmp_path / "notes.json").read_text()) if (tmp_path / "notes.json").exists() else []

    return script


def fire(store, tmp_path, **changes):
    settings = {"name": "tiny", "path": "job.yaml", "folder": str(tmp_path), "store": str(store), "cron": "* * * * *"}
    return schedule.fire(**{**settings, "retries": 3, "backoff": 0.1, **changes})


def test_a_job_is_added_listed_given_another_time_and_removed(tiny_job, store):
    job = tiny_job()
    assert schedule.add(job, "0 3 * * *", store=store, timezone="UTC").next_run[11:] == "03:00:00+00:00"
    again = schedule.add(job, "30 4 * * sun", store=store, timezone="UTC")
    assert datetime.fromisoformat(again.next_run).strftime("%a %H:%M") == "Sun 04:30"
    assert [(e.name, e.cron, e.last) for e in schedule.listed(store)] == [("tiny", "30 4 * * sun", None)]
    schedule.remove("tiny", store=store)
    assert schedule.listed(store) == []
    with pytest.raises(UserError, match="it is empty"):
        schedule.remove("tiny", store=store)
    with pytest.raises(UserError, match="five fields"):
        schedule.add(job, "daily", store=store)


@pytest.mark.parametrize(
    ("codes", "code", "tries"),
    [((0,), 0, 1), ((1, 1, 0), 0, 3), ((2,), 2, 1), ((1, 1, 1, 1), 1, 4), ((3, 0), 0, 2), ((1, 2), 2, 2)],
)
def test_a_failure_is_tried_again_with_a_back_off_and_a_wrong_input_is_not(store, tmp_path, ended, codes, code, tries):
    ran = ended(*codes)
    schedule._stopping.clear()
    assert fire(store, tmp_path) == code
    (outcome,) = schedule.outcomes(store)
    assert (outcome.job, outcome.code, outcome.tries) == ("tiny", code, tries)
    waits = [b - a for a, b in zip(ran(), ran()[1:], strict=False)]
    assert all(wait >= 0.1 * 2**i for i, wait in enumerate(waits))


@pytest.fixture
def starting(store, tmp_path):
    """Starts a scheduler in a process of its own, with the stand-in for the command."""
    begun = []

    def go():
        code = "import sys, pathlib; from sparring import schedule; schedule.COMMAND = (sys.executable, sys.argv[2]); "
        code += "schedule.start(pathlib.Path(sys.argv[1]))"
        words = [sys.executable, "-c", code, str(store), str(tmp_path / "command.py")]
        begun.append(subprocess.Popen(words, stderr=subprocess.PIPE, start_new_session=True))
        return begun[-1]

    yield go
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with the stand-ins that it began
        process.wait()


def until(found, seconds=120.0):
    end = time.monotonic() + seconds
    while not found() and time.monotonic() < end:
        time.sleep(0.05)
    assert found()


def missed(store, hours=5):
    """As if no scheduler had run for so long."""
    scheduler = schedule._scheduler(store)
    scheduler.start(paused=True)
    scheduler.modify_job("tiny", next_run_time=datetime.now(UTC) - timedelta(hours=hours))
    scheduler.shutdown()


def test_missed_runs_are_made_up_for_by_one_after_a_restart(tiny_job, store, tmp_path, ended, starting):
    ran = ended(0)
    schedule.add(tiny_job(), "30 * * * *", store=store)
    missed(store)
    process = starting()
    try:
        until(lambda: schedule.outcomes(store) and schedule.outcomes(store)[0].code == 0)
        time.sleep(1)
        assert len(ran()) == 1, "five were missed"
        second = starting()
        assert second.wait(60) != 0
        assert b"another scheduler works on" in second.stderr.read()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert datetime.fromisoformat(schedule.listed(store)[0].next_run) > datetime.now(UTC)


def test_what_was_at_work_when_the_scheduler_was_killed_is_taken_up_by_the_next(tiny_job, store, tmp_path, ended, starting):
    ran = ended(None, 0)
    schedule.add(tiny_job(), "30 4 1 1 *", store=store)
    missed(store)
    for end in (signal.SIGKILL, signal.SIGTERM):
        process = starting()
        until(lambda n=2 if end == signal.SIGTERM else 1: len(ran()) == n)
        if end == signal.SIGTERM:
            until(lambda: schedule.outcomes(store)[-1].code == 0)
        process.send_signal(end)
        process.wait(30)
    first, second = schedule.outcomes(store)
    assert (first.code, second.code) == (None, 0)
    assert "cut off" not in str(schedule.listed(store)[0].last)


def test_a_job_that_is_added_while_the_scheduler_runs_is_seen(tiny_job, store, tmp_path, ended, starting):
    ran = ended(0)
    process = starting()
    try:
        time.sleep(2)
        schedule.add(tiny_job(), "30 4 1 1 *", store=store)
        missed(store, hours=0)
        until(lambda: len(ran()) == 1)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_a_series_resumes_what_is_not_finished_and_then_counts_on(tiny_job, tmp_path):
    path = tiny_job(series=True, seed=7)
    folder = tmp_path / "runs" / "tiny-0001"
    assert (jobs.load(path, fresh=True).name, jobs.load(path).seed) == ("tiny-0001", 7)
    folder.mkdir(parents=True)
    assert jobs.load(path, fresh=True).name == "tiny-0001", "begun and not finished"
    (folder / "summary.json").write_text("{}")
    assert jobs.load(path).name == "tiny-0001", "what `publish` and `report` speak of"
    job = jobs.load(path, fresh=True)
    assert (job.name, job.seed, jobs.stem(job)) == ("tiny-0002", 8, "tiny")


def test_without_the_extra_it_is_said(tiny_job, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "apscheduler.schedulers.blocking", None)
    with pytest.raises(MissingExtra, match=r"pip install 'sparring\[schedule\]'"):
        schedule.add(tiny_job(), "0 3 * * *", store=store)
