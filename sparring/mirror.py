"""A run in an object store. It is worked on in a folder here; the store is the record, and another machine goes on from it.

A unit's files are put first, then its numbered entry under `commits/`, only if no other writer has that number: that put is
the commit point. What stands here and not there was never committed.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import disk, lease, log
from .errors import RunHeld
from .places import Place

Told = Callable[[str, Mapping[str, Any]], None]
BESIDE = ("manifest.json", "commits.jsonl", log.FILE, "summary.json", "report.html")  # that are no units


class Mirror:
    """`place` is the run's folder in the store, `folder` the one here."""

    def __init__(self, place: Place, folder: pathlib.Path):
        self.place, self.folder = place, folder
        self._lease: _Lease | None = None

    def bring_log(self) -> None:
        """The store's where it says more: another machine wrote it."""
        self.place.check()
        there, here = self.place.get(log.FILE) or b"", disk.read(self.folder / log.FILE) or b""
        if len(there) > len(here):
            disk.put_file(self.folder / log.FILE, there)

    @contextlib.contextmanager
    def held(self, told: Told) -> Iterator[None]:
        """The run, for this process alone until the block ends. Raises `RunHeld`, which names the holder."""
        mine = self._lease = _Lease(self.place)
        if found := mine.read():
            if lease.alive(mine.read, found):  # no lock reaches here, so this is asked on the same machine too
                raise RunHeld(f"{self.place.url} is held by {lease.who(found)}; wait for it or stop it")
            told("lease_taken_over", {"host": found.get("host"), "holder": found.get("process")})
        mine.beat()
        thread = threading.Thread(target=mine.keep, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.leave()
            mine.leave()

    def pull(self, told: Told) -> None:
        """Brings what was committed there and is not whole here. An entry that is here alone was never committed."""
        names = set(self.place.names())
        there = {name for name in names if name.startswith("commits/")}
        for path in sorted((self.folder / "commits").glob("*.json")):
            if f"commits/{path.name}" not in there:
                path.unlink()
        entries = {name: self.place.get(name) for name in sorted(there)}
        last: dict[str, dict[str, Any]] = {}
        for name, data in entries.items():
            if data and disk.read(self.folder / name) != data:
                disk.put_file(self.folder / name, data)
            entry = json.loads(data or b"{}")
            last[entry.get("path", "")] = entry
        (self.folder / "commits.jsonl").unlink(missing_ok=True)  # made anew of what was committed
        for name in {"manifest.json", "summary.json", "report.html"} & names:
            disk.put_file(self.folder / name, self.place.get(name) or b"")
        brought = 0
        for unit, entry in last.items():
            if unit and disk.digest_of(self.folder / unit) != entry["digest"]:
                if (self.folder / unit).is_dir():
                    shutil.rmtree(self.folder / unit)
                for name in sorted(n for n in names if n == unit or n.startswith(f"{unit}/")):
                    self.place.download(name, self.folder / name)
                    brought += 1
        if brought:
            told("brought", {"files": brought})

    def commit(self, number: int, entry: Mapping[str, Any]) -> None:
        """A unit that is finished here. Raises `RunHeld` where another process has taken the run over."""
        assert self._lease, "a run is committed to while it is held"
        self._lease.check()
        unit = self.folder / entry["path"]
        files = {str(path.relative_to(self.folder)): path for path in disk.files(unit)}
        if unit.is_dir():  # of an earlier version, which had others
            self.place.remove(name for name in self.place.names(entry["path"]) if name not in files)
        for name, path in files.items():
            self.place.upload(name, path)
        if not self.place.put_new(f"commits/{number:06d}.json", json.dumps(entry).encode()):
            raise RunHeld(f"{self.place.url}: commit {number} was made by another process; this one writes no more")

    def leave(self) -> None:
        for name in BESIDE:
            if (self.folder / name).exists():
                self.place.upload(name, self.folder / name)


class _Lease(lease.Lease):
    """The same count, kept in the store."""

    def __init__(self, place: Place):
        super().__init__(pathlib.Path())
        self._place, self._where = place, place.url

    def read(self) -> dict[str, Any] | None:
        with contextlib.suppress(ValueError):
            found = json.loads(self._place.get(lease.FILE) or b"null")
            return found if isinstance(found, dict) else None
        return None

    def put(self, told: Mapping[str, Any]) -> None:
        self._place.put(lease.FILE, json.dumps(told).encode())

    def remove(self) -> None:
        self._place.remove([lease.FILE])
