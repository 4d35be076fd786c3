"""One writer: by the kernel's lock on one machine, by the heartbeat between machines."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

from sparring import lease, log
from sparring.errors import RunHeld
from sparring.store import open_run

HOLDER = """
import pathlib, sys, time
from sparring.store import open_run
with open_run(pathlib.Path(sys.argv[1]), {}):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lease, "STALE", 1.0)
    monkeypatch.setattr(lease, "BEAT", 0.1)


def elsewhere(folder, beat=1, **changes):
    """A lease as a process on another machine leaves it."""
    folder.mkdir(exist_ok=True)
    told = {"process": 7, "host": "other", "machine": "another-kernel", "token": "theirs", "beat": beat} | changes
    (folder / "lease.json").write_text(json.dumps(told), encoding="utf-8")


def test_a_second_start_is_told_who_holds_it_and_a_killed_holder_holds_nothing(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(RunHeld, match=f"held by process {process.pid} on ") as error, open_run(tmp_path, {}):
        pass
    assert error.value.exit_code == 3
    assert lease.holder(tmp_path).startswith(f"process {process.pid} on ")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert lease.holder(tmp_path) is None
    started = time.monotonic()
    with open_run(tmp_path, {}):
        assert time.monotonic() - started < lease.STALE / 2, "the kernel says that it is dead: no waiting"
    assert [line["holder"] for line in log.read(tmp_path) if line["event"] == "lease_taken_over"] == [process.pid]
    assert not (tmp_path / "lease.json").exists(), "left on the way out"


def test_a_lease_of_another_machine_that_beats_is_respected(tmp_path, quick):
    elsewhere(tmp_path)
    done = threading.Event()

    def beat():
        for i in range(2, 100):
            if done.wait(0.1):
                return
            elsewhere(tmp_path, i)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(RunHeld, match="held by process 7 on other"), open_run(tmp_path, {}):
            pass
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("changes", [{}, {"beat": 10**9}, {"since": "2099-01-01"}], ids=str)
def test_one_that_stands_still_is_taken_over_whatever_the_clocks_say(tmp_path, quick, monkeypatch, changes):
    elsewhere(tmp_path, **changes)
    monkeypatch.setattr(time, "time", lambda: -1e9)
    with open_run(tmp_path, {}) as run:
        run.json("a.json", "k", list)
    assert [line["host"] for line in log.read(tmp_path) if line["event"] == "lease_taken_over"] == ["other"]


def test_looking_who_holds_it_keeps_nobody_out(tmp_path):
    done = threading.Event()

    def look():
        while not done.is_set():
            lease.holder(tmp_path)

    with open_run(tmp_path, {}):
        pass
    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(20):
            with open_run(tmp_path, {}):
                pass
    finally:
        done.set()
        thread.join()


def test_the_holder_beats(tmp_path, quick):
    with open_run(tmp_path, {}):
        first = lease.read(tmp_path)["beat"]
        time.sleep(0.5)
        assert lease.read(tmp_path)["beat"] > first


def test_a_holder_that_was_suspended_and_lost_its_lease_commits_nothing(tmp_path, quick):
    with open_run(tmp_path, {}) as run:
        run.json("a.json", "k", list)
        elsewhere(tmp_path)
        with pytest.raises(RunHeld, match="taken over by process 7 on other"):
            run.json("b.json", "k", list)
        assert not (tmp_path / "commits" / "000001.json").exists()
    assert lease.read(tmp_path)["token"] == "theirs", "nor does it take the other's lease away"


def test_a_damaged_lease_stops_nobody(tmp_path):
    (tmp_path / "lease.json").write_text("{half", encoding="utf-8")
    with open_run(tmp_path, {}) as run:
        run.json("a.json", "k", list)
