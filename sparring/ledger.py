"""The ledger of finished generation: a key that covers everything that went in -> what came out. Runs and rounds share one.

A folder of append-only segments. A frame of a segment is one commit group: header, checksum, keys, compressed rows. One
process appends to a segment, held by a kernel lock that dies with it; others read it and append to their own. What a kill
left half written is cut off by the next process that takes the segment; a damaged frame is passed over, said, and its rows
are made again. Large results (images) stand beside as files named by their hash, written before the frame that names them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from .disk import put_file, read, sync_folder

GROUP_ROWS = 256  # rows that a kill may cost, at most, beside those in flight
GROUP_SECONDS = 0.25  # that a finished row waits for its commit, at most
SEGMENT_BYTES = 64 << 20  # a larger segment is left alone and a new one begun

_MAGIC = b"SPL1"
_HEAD = struct.Struct("<4sII16s")  # magic, rows, bytes of payload, checksum over what follows and the two numbers
_KEY = 12  # bytes, as `record.digest` has them

Told = Callable[[str, Mapping[str, Any]], None]


class Ledger:
    """`get` and `put` by key (24 hex digits). `put` returns at once; a thread commits groups of rows, and blocks further rows
    while `GROUP_ROWS` of them are not yet on the disk. A commit that failed is raised by the next call."""

    def __init__(self, folder: pathlib.Path, *, told: Told = lambda event, facts: None):
        self.folder, self._told = folder, told
        (folder / "blobs").mkdir(parents=True, exist_ok=True)
        self._where: dict[bytes, tuple[pathlib.Path, int]] = {}
        self._frame: tuple[Any, dict[bytes, Any]] = (None, {})  # the frame that was read last
        self._pending: dict[bytes, Any] = {}
        self._blobs: dict[str, bytes] = {}
        self._committing: dict[bytes, Any] = {}
        self._changed = threading.Condition()
        self._oldest = 0.0  # when the first pending row came, monotonic
        self._failed: OSError | None = None
        self._closing = self._asked = False
        self._segment: pathlib.Path | None = None
        self._file: Any = None
        self._thread: threading.Thread | None = None
        for segment in sorted(folder.glob("*.seg")):
            self._scan(segment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        except OSError:
            if error is None:  # it would hide what ended the block
                raise

    def __len__(self) -> int:
        with self._changed:
            return len(self._where.keys() | self._pending.keys() | self._committing.keys())

    def get(self, key: str) -> dict[str, Any] | None:
        """What was put under `key`, with `blobs` as bytes by name; None where it is not there, or no longer whole."""
        name = bytes.fromhex(key)
        with self._changed:
            row = self._pending.get(name) or self._committing.get(name)
            found = row or self._read(name)
            return self._with_blobs(key, found) if found is not None and "blobs" in found else found

    def put(self, key: str, value: Mapping[str, Any], *, blobs: Mapping[str, bytes] | None = None) -> None:
        """Plain data under a key; what is there already stays. Raises `OSError` when an earlier commit failed."""
        name, row = bytes.fromhex(key), dict(value)
        with self._changed:
            self._wait_for_room()
            if name in self._where or name in self._pending or name in self._committing:
                return
            if blobs:
                row["blobs"] = {label: hash_of(data) for label, data in blobs.items()}
                self._blobs |= {hash_of(data): data for data in blobs.values()}
            if not self._pending:
                self._oldest = time.monotonic()
            self._pending[name] = row
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
                self._thread.start()
            # At half, so that a group that is being written and the next one are `GROUP_ROWS` together.
            if len(self._pending) in (1, GROUP_ROWS // 2):
                self._changed.notify_all()

    def commit(self) -> None:
        """Returns when everything that was put is on the disk."""
        with self._changed:
            self._asked = True
            self._changed.notify_all()
            while (self._pending or self._committing) and not self._failed:
                self._changed.wait()
            self._asked = False
            self._raise()

    def close(self) -> None:
        try:
            self.commit()
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            if self._thread:
                self._thread.join()
            if self._file:
                self._file.close()

    def _wait_for_room(self) -> None:
        while len(self._pending) + len(self._committing) >= GROUP_ROWS and not self._failed:
            self._changed.wait()
        self._raise()

    def _raise(self) -> None:
        if self._failed:
            raise OSError(self._failed.errno, self._failed.strerror, str(self.folder))

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._due():
                    left = GROUP_SECONDS - (time.monotonic() - self._oldest)
                    self._changed.wait(max(left, 0.001) if self._pending else None)
                if self._closing and not self._pending:
                    return
                self._committing, self._pending = self._pending, {}
                blobs, self._blobs = self._blobs, {}
            try:
                where = self._append(self._committing, blobs)
            except OSError as error:
                with self._changed:
                    self._failed = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._where |= dict.fromkeys(self._committing, where)
                self._committing = {}
                self._changed.notify_all()

    def _due(self) -> bool:
        waited = time.monotonic() - self._oldest >= GROUP_SECONDS
        return self._closing or bool(self._pending and (self._asked or waited or len(self._pending) >= GROUP_ROWS // 2))

    def _append(self, rows: Mapping[bytes, Any], blobs: Mapping[str, bytes]) -> tuple[pathlib.Path, int]:
        for name, data in blobs.items():
            if not (path := self._blob_path(name)).exists():
                put_file(path, data)
        if self._file is None or self._file.tell() > SEGMENT_BYTES:
            self._take_segment()
        assert self._segment is not None
        start = self._file.tell()
        frame = _framed(rows)
        try:
            left = memoryview(frame)
            while left:  # a disk that fills up takes a part
                left = left[self._file.write(left) :]
            os.fdatasync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):  # else the next process cuts it off
                os.ftruncate(self._file.fileno(), start)
            raise
        self._appended(frame, blobs)
        return self._segment, start

    def _appended(self, frame: bytes, blobs: Mapping[str, bytes]) -> None:
        """Hears of each commit group before it counts."""

    def _take_segment(self) -> None:
        """The first segment with room that nobody holds, cut off after its last whole frame; else a new one."""
        if self._file:
            self._file.close()
            self._file = None
        paths = sorted(self.folder.glob("*.seg"))
        for path in paths:
            if path.stat().st_size <= SEGMENT_BYTES and (file := _held(path)):
                break
        else:
            path, file = self._new_segment(int(paths[-1].stem) + 1 if paths else 0)
        body = path.read_bytes()
        whole = max((end for _, end, _ in frames(body)), default=0)
        if whole < len(body):
            self._told("ledger_cut", {"segment": path.name, "bytes": len(body) - whole})
            os.ftruncate(file.fileno(), whole)
        file.seek(whole)
        self._segment, self._file = path, file

    def _new_segment(self, number: int) -> tuple[pathlib.Path, Any]:
        while True:
            path = self.folder / f"{number:06d}.seg"
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o644))
                sync_folder(self.folder)
                if file := _held(path):
                    return path, file
            number += 1

    def _scan(self, segment: pathlib.Path) -> None:
        body, last = segment.read_bytes(), 0
        for start, end, keys in frames(body):
            if start > last:
                self._told("ledger_damaged", {"segment": segment.name, "bytes": start - last})
            place = segment, start
            for key in keys:
                self._where.setdefault(key, place)  # the first that was finished stays
            last = end

    def _read(self, name: bytes) -> Any:
        place = self._where.get(name)
        if place is None:
            return None
        if self._frame[0] != place:
            segment, start = place
            with open(segment, "rb") as file:
                file.seek(start)
                head = file.read(_HEAD.size)
                _, n, size, _ = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0, 0, b"")
                rows = _rows(head + file.read(n * _KEY + size))
            if rows is None:  # damaged since it was opened
                self._told("ledger_damaged", {"segment": segment.name, "bytes": 0})
                del self._where[name]
                return None
            self._frame = place, rows
        return self._frame[1][name]

    def _with_blobs(self, key: str, row: Mapping[str, Any]) -> dict[str, Any] | None:
        blobs = {}
        for label, name in row["blobs"].items():
            data = self._blobs.get(name) or self._blob(name)
            if hash_of(data) != name:
                self._told("blob_damaged", {"key": key})
                self._blob_path(name).unlink(missing_ok=True)
                self._where.pop(bytes.fromhex(key), None)
                return None
            blobs[label] = data
        return {**row, "blobs": blobs}

    def _blob(self, name: str) -> bytes:
        return read(self._blob_path(name)) or b""

    def _blob_path(self, name: str) -> pathlib.Path:
        return self.folder / "blobs" / name[:2] / name


def _held(path: pathlib.Path) -> Any:
    """The segment, open and locked for this process; None where another one writes it."""
    file = open(path, "r+b", buffering=0)  # noqa: SIM115 - closed with the ledger
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _framed(rows: Mapping[bytes, Any]) -> bytes:
    text = json.dumps(list(rows.values()), ensure_ascii=False, separators=(",", ":"))
    body = b"".join(rows) + (payload := zlib.compress(text.encode("utf-8", "surrogatepass"), 1))
    return _HEAD.pack(_MAGIC, len(rows), len(payload), _checksum(len(rows), len(payload), body)) + body


def _checksum(rows: int, size: int, body: bytes | memoryview) -> bytes:
    found = hashlib.blake2b(struct.pack("<II", rows, size), digest_size=16)
    found.update(body)
    return found.digest()


def frames(body: bytes) -> Iterator[tuple[int, int, list[bytes]]]:
    """(start, end, keys) of each whole frame; what lies between them is damaged, what follows the last is unfinished."""
    view, at = memoryview(body), body.find(_MAGIC)
    while at >= 0:
        end = at
        if at + _HEAD.size <= len(body):
            _, n, size, checksum = _HEAD.unpack_from(body, at)
            end = at + _HEAD.size + n * _KEY + size
            if end <= len(body) and _checksum(n, size, view[at + _HEAD.size : end]) == checksum:
                keys = at + _HEAD.size
                yield at, end, [body[keys + i * _KEY : keys + (i + 1) * _KEY] for i in range(n)]
                at = body.find(_MAGIC, end)
                continue
        at = body.find(_MAGIC, at + 1)


def _rows(frame: bytes) -> dict[bytes, Any] | None:
    """The rows of one frame by key; None where it is not whole."""
    found = next(frames(frame), None)
    if found is None or found[0] != 0:
        return None
    _, end, keys = found
    text = zlib.decompress(frame[_HEAD.size + len(keys) * _KEY : end]).decode("utf-8", "surrogatepass")
    return dict(zip(keys, json.loads(text), strict=True))


def hash_of(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
