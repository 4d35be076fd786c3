"""One writer a run folder. A kernel lock decides on one machine; between machines, where a lock may not reach, a heartbeat.

`lease.json` names the holder and holds a counter that it raises every `BEAT` seconds. A second start that gets the lock but
finds the lease of another machine watches the counter for `STALE` seconds of its own monotonic clock: nobody's wall clock
is asked, so none that jumps can take a lease away. Every commit looks whether the lease is still its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import disk
from .errors import RunHeld

BEAT = 5.0  # seconds
STALE = 20.0  # seconds without a beat, after which another machine's lease is taken over
FILE, LOCK = "lease.json", ".lock"


class Lease:
    def __init__(self, folder: pathlib.Path):
        self._path, self._where, self._token, self._beats = folder / FILE, str(folder), uuid.uuid4().hex, 0
        self._lock, self._done = threading.Lock(), threading.Event()

    def read(self) -> dict[str, Any] | None:
        return read(self._path.parent)

    def put(self, told: Mapping[str, Any]) -> None:
        disk.put_file(self._path, json.dumps(told).encode(), durable=False)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    def check(self) -> None:
        """Raises `RunHeld` when another process has taken the lease over, as it may from one that was suspended for long."""
        found = self.read()
        if found and found.get("token") != self._token:
            raise RunHeld(f"{self._where} was taken over by {who(found)} while this process stood still; it writes no more")

    def beat(self) -> None:
        with self._lock:
            if self._done.is_set():
                return
            self._beats += 1
            told = {"process": os.getpid(), "host": socket.gethostname(), "machine": _machine(), "token": self._token}
            self.put(told | {"beat": self._beats})

    def keep(self) -> None:
        """In a thread of its own, until `leave`."""
        while not self._done.wait(BEAT):
            with contextlib.suppress(OSError):  # a full disk: the lock still holds on this machine
                found = self.read()
                if found and found.get("token") != self._token:
                    return
                self.beat()

    def leave(self) -> None:
        with self._lock:
            self._done.set()
            found = self.read()
            if found and found.get("token") == self._token:
                self.remove()


@contextlib.contextmanager
def held(folder: pathlib.Path, told: Callable[[str, Mapping[str, Any]], None]) -> Iterator[Lease]:
    """The folder, for this process alone until the block ends. Raises `RunHeld`, which names the holder."""
    with open(folder / LOCK, "a+", encoding="utf-8") as lock:
        if not _taken(lock):
            raise _held_by(folder, read(folder))
        if found := read(folder):
            if found.get("machine") != _machine() and alive(lambda: read(folder), found):
                raise _held_by(folder, found)
            told("lease_taken_over", {"host": found.get("host"), "holder": found.get("process")})
        lease = Lease(folder)
        lease.beat()
        thread = threading.Thread(target=lease.keep, name="lease", daemon=True)
        thread.start()
        try:
            yield lease
        finally:
            lease.leave()


def holder(folder: pathlib.Path) -> str | None:
    """Who works on the folder, as far as this machine can tell; None for nobody."""
    if not (folder / LOCK).exists():
        return None
    with open(folder / LOCK, encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return who(read(folder))
    return None


def read(folder: pathlib.Path) -> dict[str, Any] | None:
    return disk.read_json(folder / FILE)


def who(found: Mapping[str, Any] | None) -> str:
    return (
        f"process {found['process']} on {found['host']}" if found and {"process", "host"} <= found.keys() else "another process"
    )


def _taken(lock: Any) -> bool:
    """Tried for half a second: `holder` takes the lock for a moment to see whether it is free."""
    for i in range(6):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel drops it when the holder dies
            return True
        if i < 5:
            time.sleep(0.1)
    return False


def _held_by(folder: pathlib.Path, found: Mapping[str, Any] | None) -> RunHeld:
    return RunHeld(f"{folder} is held by {who(found)}; wait for it or stop it")


def alive(look: Callable[[], Mapping[str, Any] | None], found: Mapping[str, Any]) -> bool:
    """Whether a holder that no lock tells of beats."""
    end = time.monotonic() + STALE
    while time.monotonic() < end:
        time.sleep(min(1.0, STALE / 4))
        now = look()
        if now is None:
            return False
        if (now.get("token"), now.get("beat")) != (found.get("token"), found.get("beat")):
            return True
    return False


def _machine() -> str:
    """The same for all containers of one kernel, which share its locks."""
    with contextlib.suppress(OSError):
        return pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return socket.gethostname()
