"""Records as a Hugging Face dataset on disk: parquet by split and part, ClassLabel, a manifest, a card, Croissant metadata."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .. import labels as given
from ..context import Context
from ..labels import LABELS, Label
from ..policy import Policy
from ..record import SCHEMA, Record, digest, features, to_table
from . import beside, card, croissant, manifest
from .manifest import Manifest, Side
from .marked import marked, told
from .shards import Writer, sha256

BATCH = 4096  # records in memory as Arrow rows


def dataset(
    ctx: Context, path: str, records: Sequence[Record], facts: dict[str, Any], *, scores: Sequence[dict[str, Any]] = ()
) -> pathlib.Path:
    """Writes a folder that `datasets.load_dataset` reads; `facts` are the round's figures for the card, `scores` rows of its
    table of that name.

    Generated images say so in their files. Labels that people gave in `sparring review` are folded in.
    """
    labels = given.read(ctx.run.folder / "review")
    sides = {
        "scores": pa.Table.from_pylist(list(scores), schema=beside.SCORES), "fingerprints": beside.fingerprints(ctx, records)
    }  # fmt: skip

    def make(aside: pathlib.Path) -> None:
        write(aside, records, ctx.policy, name=ctx.job.name, facts=facts, labels=labels, sides=sides)

    records = marked(ctx, records)
    key = [
        [r.id for r in records],
        told(ctx.job.provenance),
        facts,
        ctx.policy.content_hash,
        manifest.LAYOUT,
        [list(row.values()) for row in labels],
        [list(row.values()) for row in scores],
        ctx.job.provenance.embeddings,
    ]
    return ctx.run.unit(path, key, make)


def folder(run: pathlib.Path, round: int) -> pathlib.Path:
    """Where a round's dataset stands in a run folder."""
    return run / f"round-{round:02d}" / "dataset"


def write(
    folder: pathlib.Path, records: Iterable[Record], policy: Policy, *,
    name: str, facts: dict[str, Any], labels: Sequence[Label] = (), sides: Mapping[str, pa.Table] | None = None,
) -> Manifest:  # fmt: skip
    """`stream` of records."""
    rows = iter(records)
    batches = iter(lambda: list(itertools.islice(rows, BATCH)), [])
    tables = (to_table(batch, policy.labels) for batch in batches)
    return stream(folder, tables, policy, name=name, facts=facts, labels=labels, sides=sides)


def stream(
    folder: pathlib.Path, tables: Iterable[pa.Table], policy: Policy, *,
    name: str, facts: dict[str, Any], labels: Sequence[Label] = (), sides: Mapping[str, pa.Table] | None = None,
) -> Manifest:  # fmt: skip
    """Writes tables of `record.SCHEMA` as they come, in memory that does not grow with them; `folder` must not exist.

    A row of `labels` (what a person said, the latest last) takes the place of the row's own label; both stand in the side
    table `labels`, the person under a pseudonym. `sides` are further ones by name; an empty one is left out. Raises
    `DataError` for a label or split that is not known.
    """
    schema: pa.Schema = features(policy).arrow_schema  # holds the ClassLabel for `datasets` in its metadata
    shards = Writer(folder, name, policy.labels, schema)
    fold = _Fold(labels)
    for table in tables:
        shards.add(fold.into(table))
    found = Manifest(name=name, **manifest.head(policy), shards=shards.close(), facts={name: facts})
    if fold.versions:
        path = "labels/00000.parquet"
        written = side(folder / path, pa.Table.from_pylist(fold.versions, schema=LABELS), "labels")
        checked = len({row["id"] for row in fold.versions})
        found = found.model_copy(update={"sides": {path: written}, "checked": checked})
    for name, rows in sorted((sides or {}).items()):
        if len(rows):
            path = f"{name}/00000.parquet"
            found = found.model_copy(update={"sides": {**found.sides, path: side(folder / path, rows, name)}})
    finish(folder, found)
    return found


def finish(folder: pathlib.Path, found: Manifest) -> None:
    """The files that are made of the manifest, and itself."""
    for name, made in documents(found).items():
        (folder / name).write_bytes(made)


def documents(found: Manifest) -> dict[str, bytes]:
    return {
        manifest.CARD: card.card(found).encode(),
        manifest.CROISSANT: croissant.metadata(found),
        manifest.NAME: found.dump(),
    }


def side(path: pathlib.Path, rows: pa.Table, table: str) -> Side:
    """Writes a side table, and says what the manifest keeps of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path, compression="zstd")
    return Side.model_validate({"table": table, "rows": len(rows), "bytes": path.stat().st_size, "sha256": sha256(path)})


def pseudonym(who: str) -> str:
    """What a published table calls a person: the same each time, and not the name."""
    return f"person-{digest('who', who)[:8]}"


class _Fold:
    """Puts people's labels over the rows' own and keeps both."""

    def __init__(self, labels: Sequence[Label]):
        self._by_id: dict[str, list[Label]] = {}
        for row in labels:
            self._by_id.setdefault(row["id"], []).append(row)
        self._ids = pa.array(sorted(self._by_id), pa.string())
        self.versions: list[dict[str, str]] = []

    def into(self, table: pa.Table) -> pa.Table:
        if not self._by_id or not pc.any(where := pc.is_in(table["id"], value_set=self._ids)).as_py():
            return table
        names = table["label_name"].to_pylist()
        for i in pc.indices_nonzero(where).to_pylist():
            id, version = table["id"][i].as_py(), table["policy_version"][i].as_py()
            said = [{**row, "who": pseudonym(row["who"])} for row in self._by_id[id]]
            first = {"id": id, "label_name": names[i], "who": "origin", "when": "", "policy_version": version}
            self.versions += [first, *said]
            names[i] = said[-1]["label_name"]
        place = SCHEMA.get_field_index("label_name")
        return table.set_column(place, SCHEMA.field(place), pa.array(names, pa.string()))
