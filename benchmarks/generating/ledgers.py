"""The ledger beside SQLite in its write-ahead mode: the same rows, the same commit groups, CPU and wall seconds."""

from __future__ import annotations

import json
import pathlib
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

from sparring.ledger import GROUP_ROWS, Ledger
from sparring.record import digest

Rows = list[tuple[str, dict[str, Any]]]


def measured(rows: int, *, group: int = GROUP_ROWS // 2) -> list[dict[str, Any]]:
    """One row a way: microseconds of CPU and of wall time a row to write, to open, and to read back by key; bytes a row."""
    made: Rows = [
        (digest("row", i), {"text": f"A made message number {i} of the usual length. " * 3, "tokens": 40}) for i in range(rows)
    ]
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        ways: list[tuple[str, Callable[[pathlib.Path, Rows], Any], Callable[[pathlib.Path, Iterable[str]], Any]]] = [
            ("segments (ours)", write_ours, read_ours),
            ("SQLite WAL, same groups", lambda path, made: write_sqlite(path, made, group), read_sqlite),
            ("SQLite WAL, a commit a row", lambda path, made: write_sqlite(path, made[: rows // 20], 1), read_sqlite),
        ]
        return [timed(name, folder / str(i), made[: rows // 20] if "a row" in name else made, write, read)
                for i, (name, write, read) in enumerate(ways)]  # fmt: skip


def timed(name: str, folder: pathlib.Path, made: Rows, write: Callable[..., Any], read: Callable[..., Any]) -> dict[str, Any]:
    folder.mkdir()
    found: dict[str, Any] = {"who": name}
    for what, work in (("write", lambda: write(folder, made)), ("read", lambda: read(folder, [key for key, _ in made]))):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        found[f"{what}_cpu_us"] = round((time.process_time() - cpu) / len(made) * 1e6, 2)
        found[f"{what}_wall_us"] = round((time.perf_counter() - wall) / len(made) * 1e6, 2)
    found["bytes"] = round(sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / len(made), 1)
    return found


def write_ours(folder: pathlib.Path, made: Rows) -> None:
    with Ledger(folder) as book:
        for key, value in made:
            book.put(key, value)


def read_ours(folder: pathlib.Path, keys: Iterable[str]) -> None:
    with Ledger(folder) as book:
        assert all(book.get(key) for key in keys)


def _connected(folder: pathlib.Path) -> sqlite3.Connection:
    found = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    found.execute("pragma journal_mode=wal")
    found.execute("pragma synchronous=full")  # as durable as ours
    found.execute("create table if not exists done (key blob primary key, value text) without rowid")
    return found


def write_sqlite(folder: pathlib.Path, made: Rows, group: int) -> None:
    base = _connected(folder)
    for start in range(0, len(made), group):
        base.execute("begin")
        chunk = [(bytes.fromhex(key), json.dumps(value)) for key, value in made[start : start + group]]
        base.executemany("insert or ignore into done values (?, ?)", chunk)
        base.execute("commit")
    base.close()


def read_sqlite(folder: pathlib.Path, keys: Iterable[str]) -> None:
    base = _connected(folder)
    for key in keys:
        (value,) = base.execute("select value from done where key = ?", (bytes.fromhex(key),)).fetchone()
        assert json.loads(value)
    base.close()
