"""A child that would outlive its parent's SIGKILL does not; another process of the same number is left alone."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from sparring import orphans

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are told by /proc")

PARENT = """
import multiprocessing, sys, time
from sparring import orphans
child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
if __name__ == "__main__":
    child.start()
    if "guarded" in sys.argv:
        orphans.end_with_this_process([child.pid])
    print(child.pid, flush=True)
    time.sleep(60)
"""


def gone(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if ") Z " in pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8"):
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("guarded", [True, False])
def test_a_child_ends_with_its_killed_parent(tmp_path, guarded):
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    words = [sys.executable, str(script), *(["guarded"] if guarded else [])]
    parent = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    time.sleep(2 * orphans.EVERY)
    assert not gone(child, 0.1), "while its parent lives, so does it"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    try:
        assert gone(child, 10 if guarded else 1) == guarded
    finally:
        if not guarded:
            os.kill(child, signal.SIGKILL)


def test_a_process_that_took_the_number_is_left_alone():
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        orphans.watch(-1, [f"{other.pid}:1"])
        time.sleep(0.2)
        assert other.poll() is None
        orphans.watch(-1, [f"{other.pid}:{orphans.born(other.pid)}"])
        assert other.wait(5) == -signal.SIGKILL
    finally:
        other.kill()
