"""Files that are there whole or not at all, on a disk that may lose power: written aside, synced, renamed."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from typing import Any


def put_file(path: pathlib.Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Without `durable` it may be gone after a loss of power, never in part after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(data)
        if durable:
            sync(aside)
        os.replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def read(path: pathlib.Path) -> bytes | None:
    """None where there is no file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def read_json(path: pathlib.Path) -> dict[str, Any] | None:
    """The object in a file; None where the file is gone or holds none, as after a loss of power."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def files(path: pathlib.Path) -> list[pathlib.Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def sync(path: pathlib.Path) -> None:
    """A file, or every file of a folder."""
    for file in files(path):
        with open(file, "rb") as stream:
            os.fsync(stream.fileno())


def sync_folder(folder: pathlib.Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest_of(path: pathlib.Path) -> str | None:
    """Hash over names and bytes of a file or folder; None when it is not there."""
    if not path.exists():
        return None
    whole = hashlib.blake2b(digest_size=12)
    for file in files(path):
        whole.update(str(file.relative_to(path)).encode())
        with open(file, "rb") as stream:
            whole.update(hashlib.file_digest(stream, "blake2b").digest())
    return whole.hexdigest()
