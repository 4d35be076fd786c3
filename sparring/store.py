"""Run folders. A unit of work is written aside, synced, renamed, and then committed by a numbered entry under `commits/`,
put only if absent. A rerun of the same command is the resume: a committed unit whose key and bytes still match is kept."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import inspect
import json
import os
import pathlib
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from . import disk
from .errors import JobError, RunHeld
from .record import SCHEMA_VERSION, digest


def source_of(*parts: Any) -> str:
    """Hash of the source of the modules that hold `parts`: in a key, so that changed code never returns old rows."""
    return digest([inspect.getsource(inspect.getmodule(part) or part) for part in parts])


class Run:
    """One run folder, held by one process. Use `open_run`."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.units_done = 0  # units made by this process, kept ones not counted
        self._commits = folder / "commits"
        self._aside = folder / ".aside"
        shutil.rmtree(self._aside, ignore_errors=True)
        self._aside.mkdir(parents=True)
        self._commits.mkdir(exist_ok=True)
        entries = [(int(path.stem), _read_entry(path)) for path in sorted(self._commits.glob("*.json"))]
        self._next = entries[-1][0] + 1 if entries else 0
        self._known: dict[str, dict[str, Any]] = {e["path"]: e for _, e in entries if e}

    def unit(self, path: str, key: Any, make: Callable[[pathlib.Path], None]) -> pathlib.Path:
        """The file or folder at `path` (relative), made by `make(aside)` unless it was committed under the same key."""
        final, wanted = self.folder / path, digest(key)
        if self.keeps(path, key):
            return final
        started = time.monotonic()
        aside = self._aside / path.replace("/", "-")
        make(aside)
        disk.sync(aside)
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.is_dir():
            shutil.rmtree(final)  # uncommitted, damaged or of another key
        os.replace(aside, final)
        disk.sync_folder(final.parent)
        self._commit({"path": path, "key": wanted, "digest": _bytes_of(final), "seconds": round(time.monotonic() - started, 3)})
        self.units_done += 1
        return final

    def keeps(self, path: str, key: Any = None) -> bool:
        """Whether the unit is there already and whole, under this key; without one, under any."""
        entry = self._known.get(path)
        return bool(entry and (key is None or entry["key"] == digest(key)) and _bytes_of(self.folder / path) == entry["digest"])

    def table(self, path: str, key: Any, make: Callable[[], pa.Table]) -> pa.Table:
        """A parquet shard as a unit."""
        return pq.read_table(self.unit(path, key, lambda aside: pq.write_table(make(), aside, compression="zstd")))

    def json(self, path: str, key: Any, make: Callable[[], Any]) -> Any:
        """Plain data as a unit, readable by a person."""

        def write(aside: pathlib.Path) -> None:
            aside.write_text(json.dumps(make(), ensure_ascii=False, indent=1), encoding="utf-8")

        return json.loads(self.unit(path, key, write).read_text(encoding="utf-8"))

    def seconds(self, prefix: str) -> float:
        """Seconds of work behind the committed units under `prefix`, whichever process did it."""
        return sum(e["seconds"] for path, e in self._known.items() if path.startswith(prefix))

    def _commit(self, entry: dict[str, Any]) -> None:
        aside = self._aside / "commit"
        aside.write_text(json.dumps(entry), encoding="utf-8")
        disk.sync(aside)
        os.link(aside, self._commits / f"{self._next:06d}.json")  # fails if another process took the number
        aside.unlink()
        disk.sync_folder(self._commits)
        self._known[entry["path"]] = entry
        self._next += 1


@contextlib.contextmanager
def open_run(folder: pathlib.Path, identity: dict[str, Any]) -> Iterator[Run]:
    """The run at `folder`, for this process alone until the block ends.

    Raises `RunHeld` when another process works on it, `JobError` when the folder belongs to another job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel drops it when the holder dies
        except BlockingIOError:
            lock.seek(0)
            raise RunHeld(f"{folder} is held by {lock.read().strip() or 'another process'}; wait for it or stop it") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        _claim(folder, identity)
        yield Run(folder)


def check_identity(folder: pathlib.Path, identity: dict[str, Any]) -> bool:
    """Whether the folder holds a run of this job already; raises `JobError` when it holds another's."""
    path = folder / "manifest.json"
    if not path.exists():
        return False
    found, wanted = json.loads(path.read_text(encoding="utf-8")), json.loads(json.dumps(identity | {"schema": SCHEMA_VERSION}))
    if found != wanted:
        changed = [k for k in sorted(found.keys() | wanted.keys()) if found.get(k) != wanted.get(k)]
        raise JobError(
            f"{folder} holds a run of another job: {', '.join(changed)} changed. "
            "Fix: give this job another `name`, or remove the folder"
        )
    return True


def _claim(folder: pathlib.Path, identity: dict[str, Any]) -> None:
    if check_identity(folder, identity):
        return
    aside = folder / ".manifest"
    aside.write_text(json.dumps(identity | {"schema": SCHEMA_VERSION}, ensure_ascii=False, indent=1), encoding="utf-8")
    disk.sync(aside)
    os.replace(aside, folder / "manifest.json")


def _read_entry(path: pathlib.Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None  # damaged: its unit is made again


def _bytes_of(path: pathlib.Path) -> str | None:
    """Hash over names and bytes of a file or folder; None when it is not there."""
    if not path.exists():
        return None
    whole = hashlib.blake2b(digest_size=12)
    for file in disk.files(path):
        whole.update(str(file.relative_to(path)).encode())
        with open(file, "rb") as stream:
            whole.update(hashlib.file_digest(stream, "blake2b").digest())
    return whole.hexdigest()
