"""Labels that people gave, beside the rows and never over them: an append-only side table of numbered parquet files."""

from __future__ import annotations

import contextlib
import datetime
import io
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

LABELS = pa.schema([(name, pa.string()) for name in ("id", "label_name", "who", "when", "policy_version")])
Label = Mapping[str, str]  # one row of `LABELS`; `when` is UTC, ISO 8601, to the microsecond, so that it sorts as text


def moment() -> str:
    """Now, as `when` has it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")


def append(folder: Path, labels: Sequence[Label]) -> None:
    """One more file in `folder`; nothing where there are no labels."""
    if labels:
        shard = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([dict(row) for row in labels], schema=LABELS), shard, compression="zstd")
        put(folder, "labels-{:05d}.parquet", shard.getvalue())


def read(folder: Path) -> list[Label]:
    """Every label in `folder`, the earliest first."""
    tables = [pq.read_table(path).to_pylist() for path in sorted(folder.glob("labels-*.parquet"))]
    return sorted(itertools.chain(*tables), key=lambda row: row["when"])


def latest(labels: Iterable[Label]) -> dict[str, Label]:
    """id -> its last label, of labels in the order of `read`."""
    return {row["id"]: row for row in labels}


def put(folder: Path, name: str, data: bytes) -> None:
    """`data` under the next free number of `name`, whole or not at all, never over another file."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{os.getpid()}.part"
    with open(aside, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    for number in itertools.count():
        with contextlib.suppress(FileExistsError):
            os.link(aside, folder / name.format(number))
            return aside.unlink()
