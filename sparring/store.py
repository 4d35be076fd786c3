"""Run folders. A unit of work is written aside, synced, renamed, and then committed by a numbered entry under `commits/`,
put only if absent. A rerun of the same command is the resume: a committed unit whose key and bytes still match is kept.
Each entry stands a second time in `commits.jsonl`, so that no finished part is done again for one small file that is gone."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import pathlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from . import disk, telemetry
from .errors import JobError
from .lease import Lease, held
from .log import Log
from .mirror import Mirror
from .places import Place
from .record import SCHEMA_VERSION, digest


def source_of(*parts: Any) -> str:
    """Hash of the source of the modules that hold `parts`: in a key, so that changed code never returns old rows."""
    return digest([inspect.getsource(inspect.getmodule(part) or part) for part in parts])


class Run:
    """One run folder, held by one process. Use `open_run`."""

    def __init__(self, folder: pathlib.Path, lease: Lease, log: Log, job: str, *, mirror: Mirror | None = None):
        self.folder, self.log, self._lease, self._job, self._mirror = folder, log, lease, job, mirror
        self.units_done = 0  # units made by this process, kept ones not counted
        self._commits = folder / "commits"
        self._aside = folder / ".aside"
        shutil.rmtree(self._aside, ignore_errors=True)
        self._aside.mkdir(parents=True)
        self._commits.mkdir(exist_ok=True)
        entries = self._repaired()
        self._next = max(entries, default=-1) + 1
        self.spent: Counter[str] = Counter()  # queries, tokens and seconds, by every process that worked on this run
        for entry in entries.values():
            self.spent.update(entry.get("spent", {}))
        self._unit: Counter[str] = Counter()  # of it what stands in no entry yet
        self._last = time.monotonic()
        self._known: dict[str, dict[str, Any]] = {e["path"]: e for _, e in sorted(entries.items())}

    def unit(self, path: str, key: Any, make: Callable[[pathlib.Path], None]) -> pathlib.Path:
        """The file or folder at `path` (relative), made by `make(aside)` unless it was committed under the same key."""
        final, wanted = self.folder / path, digest(key)
        if self._holds(path, wanted):
            return final
        if path in self._known:
            self.log.write("made_again", {"unit": path, "damaged": self._known[path]["key"] == wanted})
        started = time.monotonic()
        aside = self._aside / path.replace("/", "-")
        with telemetry.span("unit", unit=path):
            make(aside)
        disk.sync(aside)
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.is_dir():
            shutil.rmtree(final)  # uncommitted, damaged or of another key
        os.replace(aside, final)
        disk.sync_folder(final.parent)
        took = round(time.monotonic() - started, 3)
        entry = {"path": path, "key": wanted, "digest": disk.digest_of(final), "seconds": took}
        self.charge({"seconds": round(self.since_commit(), 3)})
        spent, self._unit, self._last = dict(self._unit), Counter(), time.monotonic()
        self._commit(entry | {"job": self._job, "spent": spent})
        self.units_done += 1
        self.log.write("unit", {"unit": path, "took": took})
        telemetry.unit(took, path)
        return final

    def keeps(self, path: str, key: Any = None) -> bool:
        """Whether the unit is there already and whole, under this key; without one, under any."""
        return self._holds(path, None if key is None else digest(key))

    def _holds(self, path: str, wanted: str | None) -> bool:
        entry = self._known.get(path)
        return bool(entry and wanted in (None, entry["key"]) and disk.digest_of(self.folder / path) == entry["digest"])

    def table(self, path: str, key: Any, make: Callable[[], pa.Table]) -> pa.Table:
        """A parquet shard as a unit."""
        return pq.read_table(self.unit(path, key, lambda aside: pq.write_table(make(), aside, compression="zstd")))

    def json(self, path: str, key: Any, make: Callable[[], Any]) -> Any:
        """Plain data as a unit, readable by a person."""

        def write(aside: pathlib.Path) -> None:
            aside.write_text(json.dumps(make(), ensure_ascii=False, indent=1), encoding="utf-8")

        return json.loads(self.unit(path, key, write).read_text(encoding="utf-8"))

    def charge(self, spent: Mapping[str, float]) -> None:
        """Counts what work cost; it is on the disk with the next unit."""
        for counter in (self.spent, self._unit):
            counter.update(spent)
        telemetry.spent(spent)

    def since_commit(self) -> float:
        """Seconds that stand in no entry yet."""
        return time.monotonic() - self._last

    def seconds(self, prefix: str) -> float:
        """Seconds of work behind the committed units under `prefix`, whichever process did it."""
        return sum(e["seconds"] for path, e in self._known.items() if path.startswith(prefix))

    def _commit(self, entry: dict[str, Any]) -> None:
        self._lease.check()
        if self._mirror:
            self._mirror.commit(self._next, entry)
        self._put(self._next, entry)
        _note(self.folder, self._next, entry)
        self._known[entry["path"]] = entry
        self._next += 1

    def _put(self, number: int, entry: dict[str, Any]) -> None:
        aside = self._aside / "commit"
        aside.write_text(json.dumps(entry), encoding="utf-8")
        disk.sync(aside)
        os.link(aside, self._commits / f"{number:06d}.json")  # fails if another process took the number
        aside.unlink()
        disk.sync_folder(self._commits)

    def _repaired(self) -> dict[int, dict[str, Any]]:
        """Number -> entry, with what is damaged or gone in one of the two places restored from the other."""
        found = {int(path.stem): disk.read_json(path) for path in sorted(self._commits.glob("*.json"))}
        noted = _noted(self.folder)
        for number, entry in noted.items():
            if found.get(number) != entry:
                (self._commits / f"{number:06d}.json").unlink(missing_ok=True)
                self._put(number, entry)
                self.log.write("commit_restored", {"number": number, "unit": entry["path"]})
        whole = {number: entry for number, entry in found.items() if entry} | noted
        if lost := found.keys() - whole.keys():
            self.log.write("commit_damaged", {"entries": len(lost)})
        for number in sorted(whole.keys() - noted.keys()):
            _note(self.folder, number, whole[number])
        return whole


@contextlib.contextmanager
def open_run(
    folder: pathlib.Path, identity: dict[str, Any], *, repaired: Callable[[str], None] = lambda event: None,
    place: Place | None = None,
) -> Iterator[Run]:  # fmt: skip
    """The run at `folder`, for this process alone until the block ends; `repaired` hears what was found damaged, by name.
    With a `place` in an object store that is the record, and the folder the copy that is worked on.

    Raises `RunHeld` when another process works on it, `JobError` when the folder belongs to another job.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mirror = Mirror(place, folder) if place else None
    if mirror:
        mirror.bring_log()
    log = Log(folder, repaired=repaired)
    taken = mirror.held(log.write) if mirror else contextlib.nullcontext()
    with held(folder, log.write) as lease, taken, log, telemetry.span("run", run=folder.name):
        if mirror:
            mirror.pull(log.write)
        _claim(folder, identity, log)
        yield Run(folder, lease, log, _whole(identity), mirror=mirror)


def check_identity(folder: pathlib.Path, identity: dict[str, Any]) -> bool:
    """Whether the folder holds a run of this job already; raises `JobError` when it holds another's."""
    found, wanted = disk.read_json(folder / "manifest.json"), json.loads(json.dumps(identity | {"schema": SCHEMA_VERSION}))
    if found is None:  # gone or damaged: what was committed knows the job that made it
        jobs = {entry["job"] for entry in _noted(folder).values() if "job" in entry}
        if jobs and jobs != {_whole(identity)}:
            raise JobError(
                f"{folder} has lost its manifest.json and holds a run of another job. "
                "Fix: run the job that made it, give this job another `name`, or remove the folder"
            )
        return False
    if found != wanted:
        changed = [k for k in sorted(found.keys() | wanted.keys()) if found.get(k) != wanted.get(k)]
        raise JobError(
            f"{folder} holds a run of another job: {', '.join(changed)} changed. "
            "Fix: give this job another `name`, or remove the folder"
        )
    return True


def _claim(folder: pathlib.Path, identity: dict[str, Any], log: Log) -> None:
    if check_identity(folder, identity):
        return
    if _noted(folder):
        log.write("manifest_restored")
    text = json.dumps(identity | {"schema": SCHEMA_VERSION}, ensure_ascii=False, indent=1)
    disk.put_file(folder / "manifest.json", text.encode())


def _whole(identity: dict[str, Any]) -> str:
    return digest(json.loads(json.dumps(identity | {"schema": SCHEMA_VERSION})))


def _note(folder: pathlib.Path, number: int, entry: dict[str, Any]) -> None:
    """The second copy; what a loss of power takes of it is noted anew by the next start."""
    with open(folder / "commits.jsonl", "a", encoding="utf-8") as file:
        line = json.dumps({"number": number, "entry": entry, "check": digest(number, entry)})
        file.write(f"\n{line}\n")  # a line of its own, also after one that a kill cut short


def _noted(folder: pathlib.Path) -> dict[int, dict[str, Any]]:
    path, found = folder / "commits.jsonl", {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError, KeyError, TypeError):  # cut short or damaged
            noted = json.loads(line)
            if noted["check"] == digest(noted["number"], noted["entry"]):
                found[noted["number"]] = noted["entry"]
    return found
