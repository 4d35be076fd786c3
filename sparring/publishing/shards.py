"""Rows into parquet shards by split and part, in memory that does not grow with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import DataError
from ..record import SCHEMA, SPLITS
from . import embedded
from .manifest import Count, Shard

GROUP_ROWS = 10_000  # of a row group, at most
GROUP_BYTES = 8 << 20
PAGE_ROWS = 256  # after which the size of a page is looked at: with parquet's 1,024 a page of pictures is 12 MB
SHARD_BYTES = 256 << 20  # uncompressed; the next row group goes to the next shard
BUFFER_BYTES = 8 << 20  # over all shards that are open
MIXED_ROWS = 8_000  # that are sorted to their shards at once, at most
MIXED_BYTES = 16 << 20  # memory that is touched for the first time costs more than the copy into it
# Ids and texts are unique: a dictionary of them costs time and saves nothing.
_REPEATED = [
    "language", "label_name", "label", "labels.list.element", "clause", "severity", "policy", "policy_version", "origin",
    "generator.name", "generator.model", "generator.revision", "generator.licence", "generator.seed", "generator.parameters",
    "operators.list.element.name", "operators.list.element.strength", "operators.list.element.seed", "round", "split",
]  # fmt: skip
_COUNTED = ("label_name", "origin", "language", "policy_version")


class Writer:
    """Shards under `folder`/data. Rows come in tables of `record.SCHEMA`; their order within a split and part is kept.

    The number of a row's label is set anew from its name, for a number of another list would load silently wrong.
    """

    def __init__(self, folder: Path, name: str, labels: tuple[str, ...], schema: pa.Schema):
        self._folder, self._name, self._labels, self._schema = folder, name, pa.array(labels), schema
        self._open: dict[tuple[str, str], _Open] = {}
        self._waiting: list[pa.Table] = []
        self._bytes = 0
        (folder / "data").mkdir(parents=True)

    def add(self, table: pa.Table) -> None:
        if not table.schema.equals(SCHEMA):
            raise DataError(f"expected rows with the columns of a record, got {', '.join(table.schema.names)[:200]}")
        # Of the columns that can be large; all of them would take longer to ask, where a table stands in many chunks.
        large = [name for name in ("text", "image", "audio", "video") if table[name].null_count < len(table)]
        per_row = table.select(large).nbytes / max(len(table), 1)
        step = max(1, int(MIXED_BYTES / max(per_row, 1)))
        for start in range(0, len(table), step):
            piece = table.slice(start, step)
            self._waiting.append(piece)
            self._bytes += len(piece) * per_row
            if sum(map(len, self._waiting)) >= MIXED_ROWS or self._bytes >= MIXED_BYTES:
                self._sort()

    def close(self) -> dict[str, Shard]:
        self._sort()
        found: dict[str, Shard] = {}
        for one in self._open.values():
            found |= one.close()
        return dict(sorted(found.items()))

    def _sort(self) -> None:
        """Hands what waits to its shards: one pass over many rows, for each costs more than the rows in it."""
        if not self._waiting:
            return
        table = self._numbered(pa.concat_tables(self._waiting).combine_chunks())
        self._waiting, self._bytes = [], 0
        kinds = table.select(["split", "round", "origin"])
        found = kinds.group_by(kinds.column_names, use_threads=False).aggregate([]).to_pylist()
        rank = np.full(len(table), -1)
        for i, kind in enumerate(found):
            rank[_same(kinds, kind)] = i
        per_row = table.nbytes / max(len(table), 1)
        for i, kind in enumerate(found):
            # Taken, not sliced: a slice that waits would keep the rows of all others in memory.
            rows = table.take(pa.array(np.flatnonzero(rank == i))) if len(found) > 1 else table
            split, part = kind["split"], self._part(kind)
            one = self._open.setdefault((split, part), _Open(self._folder, split, part, self._schema))
            one.add(rows, len(rows) * per_row)
        while sum(o.bytes for o in self._open.values()) > BUFFER_BYTES:
            max(self._open.values(), key=lambda o: o.bytes).flush()

    def _numbered(self, table: pa.Table) -> pa.Table:
        numbers = pc.cast(pc.index_in(table["label_name"], value_set=self._labels), pa.int64())
        if numbers.null_count:
            unknown = pc.unique(table["label_name"].filter(pc.is_null(numbers)))[0]
            raise DataError(f"expected labels out of {', '.join(self._labels.to_pylist())}; got {unknown}")
        return table.set_column(table.schema.get_field_index("label"), SCHEMA.field("label"), numbers)

    def _part(self, kind: dict[str, Any]) -> str:
        split, number, origin = kind["split"], kind["round"], kind["origin"]
        if split not in SPLITS:
            raise DataError(f"expected each row in a split out of {', '.join(SPLITS)}; got {split!r}")
        return f"{self._name}.{('data' if origin == 'real' else 'made') if number is None else f'r{number:02d}'}"


def _same(table: pa.Table, kind: dict[str, Any]) -> np.ndarray:
    """Mask of the rows of a kind; null equals null."""
    masks = [
        pc.is_null(table[name]) if value is None else pc.fill_null(pc.equal(table[name], value), False)
        for name, value in kind.items()
    ]
    return np.logical_and.reduce([mask.to_numpy() for mask in masks])


class _Open:
    """The shards of one split and part; the last may still be written to. `bytes` wait."""

    def __init__(self, folder: Path, split: str, part: str, schema: pa.Schema):
        self._folder, self._split, self._part, self._schema = folder, split, part, schema
        self._waiting: list[pa.Table] = []
        self.bytes = self._written = 0.0
        self._done: dict[str, Shard] = {}
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: pa.Table, size: float) -> None:
        self._waiting.append(rows)
        self.bytes += size
        if sum(map(len, self._waiting)) >= GROUP_ROWS or self.bytes >= GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self._waiting:
            return
        if self._writer is None:
            self._path = f"data/{self._split}-{self._part}-{len(self._done):05d}.parquet"
            self._writer, self._tally, self._written = writer(self._folder / self._path, self._schema), Tally(), 0
        table = pa.concat_tables(self._waiting)
        self._writer.write_table(table, row_group_size=GROUP_ROWS)
        self._tally.add(table)
        self._written += self.bytes
        self._waiting, self.bytes = [], 0.0
        if self._written >= SHARD_BYTES:
            self._finish()

    def close(self) -> dict[str, Shard]:
        self.flush()
        self._finish()
        return self._done

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            told = self._writer.writer.metadata
            self._writer = None
            self._done[self._path] = self._tally.shard(self._folder / self._path, self._split, self._part, told)


class Tally:
    """Counts the rows of one shard as they pass."""

    def __init__(self) -> None:
        self._found: dict[tuple[str | None, ...], int] = {}
        self._described = 0

    def add(self, table: pa.Table) -> None:
        self._described += embedded.count(table["image"])
        columns = {name: table[name] for name in _COUNTED}
        columns |= {name: pc.struct_field(table["generator"], [name]) for name in ("name", "model", "licence")}
        kinds = pa.table(columns).group_by(list(columns), use_threads=False).aggregate([([], "count_all")])
        for row in kinds.to_pylist():
            rows = row.pop("count_all")
            key = tuple(row.values())
            self._found[key] = self._found.get(key, 0) + rows

    def shard(self, file: Path, split: str, part: str, told: pq.FileMetaData) -> Shard:
        """What the manifest says of a written file; `told` is what its writer knows."""
        kinds = sorted(self._found.items(), key=lambda kind: [x or "" for x in kind[0]])
        counts = tuple(
            Count(
                label=label or "", origin=origin or "", language=language, policy_version=version or "", generator=name,
                model=model, licence=licence, rows=rows,
            )
            for (label, origin, language, version, name, model, licence), rows in kinds
        )  # fmt: skip
        content = sum(told.row_group(i).total_byte_size for i in range(told.num_row_groups))
        return Shard(
            split=split, part=part, rows=told.num_rows, bytes=file.stat().st_size, content_bytes=content,
            sha256=sha256(file), counts=counts, described=self._described,
        )  # fmt: skip


def writer(file: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """One way to write every shard: the same rows in the same row groups are the same bytes."""
    # Pictures, sound and films are compressed already.
    packed = {leaf: "none" if leaf.endswith(".bytes") else "zstd" for leaf in _leaves(schema)}
    return pq.ParquetWriter(
        file, schema, compression=packed, use_dictionary=_REPEATED, write_page_index=True, write_batch_size=PAGE_ROWS
    )


def _leaves(fields: Iterable[pa.Field], before: str = "") -> Iterator[str]:
    """The columns as parquet names them."""
    for field in fields:
        name = f"{before}{field.name}"
        if pa.types.is_struct(field.type):
            yield from _leaves(field.type, f"{name}.")
        elif pa.types.is_list(field.type):
            yield from _leaves([field.type.value_field.with_name("element")], f"{name}.list.")
        else:
            yield name


def without(source: Path, target: Path, drop: Callable[[pa.Table], Any], known: Shard, columns: Sequence[str]) -> Shard | None:
    """Writes `source` again at `target` without the rows for which `drop` is true: a mask of a row group, of which it sees
    `columns`, or None where there are none.

    Returns what is left, `known` itself where nothing was dropped (then `target` is not written), None where all were.
    """
    with pq.ParquetFile(source) as file:
        groups = range(file.num_row_groups)
        masks = [drop(file.read_row_group(i, columns=columns, use_threads=False)) for i in groups]
        if not any(pc.any(mask).as_py() for mask in masks if mask is not None):
            return known
        tally, kept = Tally(), 0
        with writer(target, file.schema_arrow) as out:
            for i, mask in zip(groups, masks, strict=True):
                table = file.read_row_group(i)
                if len(table := table if mask is None else table.filter(pc.invert(mask))):
                    out.write_table(table, row_group_size=GROUP_ROWS)
                    tally.add(table)
                    kept += len(table)
    if not kept:
        target.unlink()
        return None
    return tally.shard(target, known.split, known.part, out.writer.metadata)


def groups(file: Path, columns: list[str]) -> Iterator[pa.Table]:
    """The row groups of a shard, some columns of them."""
    with pq.ParquetFile(file) as shard:
        for i in range(shard.num_row_groups):
            yield shard.read_row_group(i, columns=columns, use_threads=False)


def sha256(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
