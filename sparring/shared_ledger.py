"""The ledger in an object store, for drivers on several machines. Each commit group is an object, named by its content."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from .ledger import Ledger, Told, frames, hash_of
from .places import Place


class SharedLedger(Ledger):
    """Appends here as `Ledger` does, and puts each frame there before it counts as committed. At the start it brings what
    others have put, and puts what a kill kept from being put."""

    def __init__(self, folder: pathlib.Path, place: Place, *, told: Told = lambda event, facts: None):
        self.place = place
        folder.mkdir(parents=True, exist_ok=True)
        there = {pathlib.PurePath(name).stem for name in place.names("frames")}
        mine: set[str] = set()
        for segment in sorted(folder.glob("*.seg")):
            body = segment.read_bytes()
            for start, end, _ in frames(body):
                mine.add(name := hash_of(body[start:end]))
                if name not in there:
                    self._put(name, body[start:end])
        brought = folder / "brought"
        brought.mkdir(exist_ok=True)
        for name in sorted(there - mine):
            if not (path := brought / f"{name}.seg").exists():
                place.download(f"frames/{name}.frame", path)
        super().__init__(folder, told=told)
        for path in sorted(brought.glob("*.seg")):
            self._scan(path)

    def _appended(self, frame: bytes, blobs: Mapping[str, bytes]) -> None:
        for name, data in blobs.items():
            self.place.put(f"blobs/{name}", data)
        self._put(hash_of(frame), frame)

    def _put(self, name: str, frame: bytes) -> None:
        self.place.put(f"frames/{name}.frame", frame)

    def _blob(self, name: str) -> bytes:
        return super()._blob(name) or self.place.get(f"blobs/{name}") or b""
