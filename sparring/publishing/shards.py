"""Rows into parquet shards by split and part, in memory that does not grow with them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import DataError
from ..record import SCHEMA, SPLITS
from .manifest import Count, Shard

GROUP_ROWS = 20_000  # of a row group, at most
GROUP_BYTES = 32 << 20
SHARD_BYTES = 256 << 20  # uncompressed; the next row group goes to the next shard
BUFFER_BYTES = 128 << 20  # over all shards that are open
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
        (folder / "data").mkdir(parents=True)

    def add(self, table: pa.Table) -> None:
        if not table.schema.equals(SCHEMA):
            raise DataError(f"expected rows with the columns of a record, got {', '.join(table.schema.names)[:200]}")
        numbers = pc.cast(pc.index_in(table["label_name"], value_set=self._labels), pa.int64())
        if numbers.null_count:
            unknown = pc.unique(table["label_name"].filter(pc.is_null(numbers)))[0]
            raise DataError(f"expected labels out of {', '.join(self._labels.to_pylist())}; got {unknown}")
        table = table.set_column(table.schema.get_field_index("label"), SCHEMA.field("label"), numbers)
        for split, part, rows in self._apart(table):
            found = self._open.setdefault((split, part), _Open(self._folder, split, part, self._schema))
            found.add(rows)
        while sum(o.bytes for o in self._open.values()) > BUFFER_BYTES:
            max(self._open.values(), key=lambda o: o.bytes).flush()

    def close(self) -> dict[str, Shard]:
        found: dict[str, Shard] = {}
        for one in self._open.values():
            found |= one.close()
        return dict(sorted(found.items()))

    def _apart(self, table: pa.Table) -> Iterator[tuple[str, str, pa.Table]]:
        kinds = table.select(["split", "round", "origin"]).group_by(["split", "round", "origin"], use_threads=False)
        found = kinds.aggregate([]).to_pylist()
        for kind in found:
            split, number, origin = kind["split"], kind["round"], kind["origin"]
            if split not in SPLITS:
                raise DataError(f"expected each row in a split out of {', '.join(SPLITS)}; got {split!r}")
            part = f"{self._name}.{('data' if origin == 'real' else 'made') if number is None else f'r{number:02d}'}"
            if len(found) == 1:
                yield split, part, table
                return
            same = pc.is_null(table["round"]) if number is None else pc.fill_null(pc.equal(table["round"], number), False)
            same = pc.and_(same, pc.and_(pc.equal(table["split"], split), pc.equal(table["origin"], origin)))
            yield split, part, table.filter(same)


class _Open:
    """The shards of one split and part; the last may still be written to."""

    def __init__(self, folder: Path, split: str, part: str, schema: pa.Schema):
        self._folder, self._split, self._part, self._schema = folder, split, part, schema
        self._waiting: list[pa.Table] = []
        self._rows = self.bytes = self._written = 0
        self._done: dict[str, Shard] = {}
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: pa.Table) -> None:
        self._waiting.append(rows)
        self._rows += len(rows)
        self.bytes += rows.nbytes
        if self._rows >= GROUP_ROWS or self.bytes >= GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        if not self._waiting:
            return
        if self._writer is None:
            self._path = f"data/{self._split}-{self._part}-{len(self._done):05d}.parquet"
            self._writer, self._tally, self._written = writer(self._folder / self._path, self._schema), Tally(), 0
        table = pa.concat_tables(self._waiting).cast(self._schema)
        self._writer.write_table(table, row_group_size=GROUP_ROWS)
        self._tally.add(table)
        self._written += self.bytes
        self._waiting, self._rows, self.bytes = [], 0, 0
        if self._written >= SHARD_BYTES:
            self._finish()

    def close(self) -> dict[str, Shard]:
        self.flush()
        self._finish()
        return self._done

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._done[self._path] = self._tally.shard(self._folder / self._path, self._split, self._part)


class Tally:
    """Counts the rows of one shard as they pass."""

    def __init__(self) -> None:
        self._found: dict[tuple[str | None, ...], int] = {}
        self._bytes = 0

    def add(self, table: pa.Table) -> None:
        self._bytes += table.nbytes
        generator = table["generator"]
        columns = {name: table[name] for name in _COUNTED}
        columns |= {name: pc.struct_field(generator, [name]) for name in ("name", "model", "licence")}
        kinds = pa.table(columns).group_by(list(columns), use_threads=False).aggregate([([], "count_all")])
        for row in kinds.to_pylist():
            rows = row.pop("count_all")
            key = tuple(row.values())
            self._found[key] = self._found.get(key, 0) + rows

    def shard(self, file: Path, split: str, part: str) -> Shard:
        kinds = sorted(self._found.items(), key=lambda kind: [x or "" for x in kind[0]])
        counts = tuple(
            Count(
                label=label or "", origin=origin or "", language=language, policy_version=version or "", generator=name,
                model=model, licence=licence, rows=rows,
            )
            for (label, origin, language, version, name, model, licence), rows in kinds
        )  # fmt: skip
        return Shard(
            split=split, part=part, rows=sum(self._found.values()), bytes=file.stat().st_size, content_bytes=self._bytes,
            sha256=sha256(file), counts=counts,
        )  # fmt: skip


def writer(file: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """One way to write every shard: the same rows in the same row groups are the same bytes."""
    return pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=_REPEATED, write_page_index=True)


def without(source: Path, target: Path, drop: Callable[[pa.Table], pa.ChunkedArray], known: Shard) -> Shard | None:
    """Writes `source` again at `target` without the rows for which `drop` (a mask of a row group) is true.

    Returns what is left, `known` itself where nothing was dropped (then `target` is not written), None where all were.
    """
    with pq.ParquetFile(source) as file:
        groups = range(file.num_row_groups)
        masks = [drop(file.read_row_group(i, columns=["id", "parent_ids", "root_ids", "text", "generator"])) for i in groups]
        if not any(pc.any(mask).as_py() for mask in masks):
            return known
        tally, kept = Tally(), 0
        with writer(target, file.schema_arrow) as out:
            for i, mask in zip(groups, masks, strict=True):
                if len(table := file.read_row_group(i).filter(pc.invert(mask))):
                    out.write_table(table, row_group_size=GROUP_ROWS)
                    tally.add(table)
                    kept += len(table)
    if not kept:
        target.unlink()
        return None
    return tally.shard(target, known.split, known.part)


def sha256(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
