"""What mining found, a row for each of the user's rows, and what it says about all of them."""

from __future__ import annotations

import csv
import io
import json
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ..labels.verdicts import ACTIONS

NEIGHBOUR = pa.struct([("id", pa.string()), ("cosine", pa.float32()), ("label", pa.string())])
SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # stable: the key column's value, else a hash of the content
        ("row", pa.int64()),  # number in the source as it was read
        ("label", pa.string()),  # as given; null: unlabelled
        ("verdict", pa.string()),  # a key of ACTIONS
        ("action", pa.string()),
        ("suggested_label", pa.string()),
        ("label_score", pa.float32()),  # [0, 1], 1: the given label is surely wrong
        ("label_flagged", pa.bool_()),
        ("queue", pa.string()),  # of the given label; null where not flagged
        ("queue_rank", pa.int64()),  # 1 is to be reviewed first
        ("hardness", pa.float32()),  # [0, 1]
        ("hard_negative_rank", pa.int64()),  # benign look-alikes of violations, 1 is the nearest; null for others
        ("reasons", pa.list_(pa.string())),  # "view strength", for a person to read
        ("neighbours", pa.list_(NEIGHBOUR)),
        ("group", pa.int64()),  # rows of a group are near duplicates, directly or by way of others; folds keep them together
        ("stands_for", pa.string()),  # of a removed row: the id of the kept one
        ("why_removed", pa.string()),
        ("why_spared", pa.string()),  # near duplicate of a kept row, but stays
        ("undone", pa.string()),  # which levels of the canonical form changed the text, "+" between
        ("slices", pa.list_(pa.int64())),  # numbers into `slices`
        ("selected_rank", pa.int64()),  # 1 is to be labelled first; null: not selected
        ("audit", pa.bool_()),  # selected at random, for honest estimates
        ("annotations", pa.int64()),  # annotators who labelled the row; null in this and the next four: no annotators
        ("agreement", pa.float32()),  # [0, 1], the share of them who gave the consensus
        ("consensus", pa.string()),
        ("consensus_quality", pa.float32()),  # [0, 1], 1: surely right
        ("ask_again_rank", pa.int64()),  # 1: one more label says most here
        ("x", pa.float32()),  # 2-D map of the embedding
        ("y", pa.float32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows where the target is worse than elsewhere. `error` and `rest` are rates; `words` describe it; `p` is corrected."""

    name: str
    rows: int
    error: float
    low: float
    high: float
    rest: float
    p: float
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """A queue's worth under one noise: after `reviewed` rows `found` wrong labels are expected, between `low` and `high`."""

    queue: str
    noise: str
    reviewed: tuple[int, ...]
    found: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MiningResult:
    """`table` has `SCHEMA` and the rows in the source's order. `rejected`: (row number, reason) of rows that could not be used.

    `f1` is expected F1 after a review: noise -> (reviewed, F1). `facts` are counts and settings by name. `notes` say what could
    not be done as asked, and what is approximate.
    """

    source: str
    labels: tuple[str, ...]
    table: pa.Table
    rejected: tuple[tuple[int, str], ...] = ()
    slices: tuple[Slice, ...] = ()
    worth: tuple[Curve, ...] = ()
    f1: Mapping[str, tuple[tuple[int, ...], tuple[float, ...]]] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)  # queue -> how many labels are estimated to be wrong
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def selected(self) -> list[str]:
        """Ids to label next, in order."""
        rows = [r for r in self.table.select(["id", "selected_rank"]).to_pylist() if r["selected_rank"] is not None]
        return [r["id"] for r in sorted(rows, key=lambda r: r["selected_rank"])]

    def queue(self, label: str) -> list[str]:
        """Ids of rows given `label` whose label is in doubt, the most suspect first."""
        rows = [r for r in self.table.select(["id", "queue", "queue_rank"]).to_pylist() if r["queue"] == label]
        return [r["id"] for r in sorted(rows, key=lambda r: r["queue_rank"])]

    @property
    def verdicts(self) -> dict[str, int]:
        """Rows by verdict."""
        said = self.table["verdict"].value_counts().to_pylist()
        count = {entry["values"]: entry["counts"] for entry in said}
        return {name: count.get(name, 0) for name in ACTIONS}

    def write(self, folder: pathlib.Path) -> pathlib.Path:
        """`mined.parquet`, `rejected.csv` and `summary.json` in `folder`; each whole or not at all."""
        import pyarrow.parquet as pq

        folder.mkdir(parents=True, exist_ok=True)
        for name, put in (
            ("mined.parquet", lambda path: pq.write_table(self.table, path, compression="zstd")),
            ("rejected.csv", lambda path: path.write_text(_csv(self.rejected), encoding="utf-8")),
            ("summary.json", lambda path: path.write_text(json.dumps(self.summary(), indent=1, default=str), encoding="utf-8")),
        ):
            aside = folder / f".{name}.part"
            put(aside)
            aside.replace(folder / name)
        return folder / "mined.parquet"

    def summary(self) -> dict[str, Any]:
        """What a script reads: counts, queues by length, slices, errors, facts and notes; no row's content."""
        return {
            "source": self.source, "rows": self.table.num_rows, "rejected": len(self.rejected), "labels": list(self.labels),
            "verdicts": self.verdicts, "queues": {name: len(self.queue(name)) for name in self.labels},
            "selected": len(self.selected), "errors": dict(self.errors),
            "slices": [{name: getattr(s, name) for name in s.__slots__} for s in self.slices],
            "facts": dict(self.facts), "notes": list(self.notes),
        }  # fmt: skip


def _csv(rejected: Sequence[tuple[int, str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([("row", "reason"), *rejected])
    return out.getvalue()
