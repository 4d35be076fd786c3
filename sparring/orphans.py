"""Ends what a library started as processes of its own when this process is killed: SIGKILL leaves it no time to do so.

As a script, `orphans.py PARENT PID:BORN...` waits until it is no longer the child of PARENT and kills the others, each known by
when it was born as well: a number may be another process's by then. Linux alone, as is what needs it.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterable

EVERY = 0.5  # seconds
_WATCHING: list[subprocess.Popen[bytes]] = []


def end_with_this_process(children: Iterable[int]) -> None:
    """Has these processes end when this one does, whatever ends it."""
    if told := [f"{pid}:{stamp}" for pid in children if (stamp := born(pid))]:
        words = [sys.executable, "-I", __file__, str(os.getpid()), *told]
        # In a session of its own, so that what is sent to all of this one's does not end the watch as well.
        _WATCHING.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True))


def born(pid: int) -> str:
    """When a process started, in ticks since boot; "" where there is none."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        return ""


def watch(parent: int, told: Iterable[str]) -> None:
    while os.getppid() == parent:
        time.sleep(EVERY)
    for pid, _, stamp in (each.partition(":") for each in told):
        if born(int(pid)) == stamp:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


if __name__ == "__main__":
    watch(int(sys.argv[1]), sys.argv[2:])
