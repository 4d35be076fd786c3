"""Tables beside the rows, joined by `id`: what a target and a judge said of a success, and what near copies of an image are
found by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from .. import phash
from ..context import Context
from ..media import IMAGES
from ..record import Record
from ..results import AttackResult
from ..store import source_of

SCORES = pa.schema(
    [("id", pa.string()), ("name", pa.string()), ("value", pa.float64()), ("by", pa.string()), ("round", pa.int64())]
)
FINGERPRINTS = pa.schema(
    [("id", pa.string()), ("phash", pa.string()), ("embedding", pa.list_(pa.float32())), ("embedder", pa.string())]
)
TABLES = {"scores": SCORES, "fingerprints": FINGERPRINTS}
KEYS = {"scores": ["id", "name", "by", "round"], "fingerprints": ["id", "embedder"]}  # a row is added once under each


def scores(ctx: Context, records: Sequence[Record], results: Iterable[AttackResult], *, round: int) -> list[dict[str, Any]]:
    """Rows of `SCORES` about the successes among `results` that became one of `records`.

    `violation` is the score of the target that was attacked for the sample as it is, after rounding to 8 bits where it is an
    image; `violation_flat` for what a normaliser, or a platform's processing of uploads, makes of it; `violation_seed` for the
    seed; `judge` is the filter judge's.
    """
    won = {(r.seed_id, s.content): (r, s) for r in results for s in r.successes}
    target, judge = ctx.job.target.kind, ctx.job.judges.filter.kind
    out: list[dict[str, Any]] = []
    for record in records:
        result, found = won[record.parent_ids[0], record.content]
        told = (
            ("violation", found.score, target), ("violation_flat", found.flat_score, target),
            ("violation_seed", result.clean_score, target), ("judge", found.judge_score, judge),
        )  # fmt: skip
        out += [
            {"id": record.id, "name": name, "value": value, "by": by, "round": round}
            for name, value, by in told
            if value is not None
        ]
    return out


def fingerprints(ctx: Context, records: Iterable[Record]) -> pa.Table:
    """A row of `FINGERPRINTS` for each image: 64 bits in hex, and mining's embedding unless the job leaves it out. A unit for
    the user's rows and one for each round's: neither changes, and embedding may be dear."""
    parts: dict[str, list[Record]] = {}
    for row in records:
        if ctx.job.medium is IMAGES and row.image is not None:
            parts.setdefault("data" if row.round is None else f"r{row.round:02d}", []).append(row)
    tables = [_of_part(ctx, part, rows) for part, rows in parts.items()]
    return pa.concat_tables(tables) if tables else FINGERPRINTS.empty_table()


def _of_part(ctx: Context, part: str, rows: Sequence[Record]) -> pa.Table:
    embedded = ctx.job.provenance.embeddings

    def make() -> pa.Table:
        images = [row.image or b"" for row in rows]
        hashes = pa.array([f"{value:016x}" for value in phash.phash(images).tolist()], pa.string())
        vectors = _lists(ctx.embedder.encode([row.content for row in rows])) if embedded else pa.nulls(len(rows), _LISTS)
        names = pa.array([ctx.embedder.name if embedded else None] * len(rows), pa.string())
        return pa.Table.from_arrays([pa.array([row.id for row in rows]), hashes, vectors, names], schema=FINGERPRINTS)

    key = {
        "rows": [(row.id, row.content_hash) for row in rows], "embedder": ctx.job.mining.embedder if embedded else None,
        "code": source_of(phash, fingerprints),
    }  # fmt: skip
    return ctx.run.table(f"fingerprints/{part}.parquet", key, make)


_LISTS = FINGERPRINTS.field("embedding").type


def _lists(vectors: np.ndarray) -> pa.Array:
    """(n, d) as lists."""
    n, d = vectors.shape
    return pa.ListArray.from_arrays(pa.array(np.arange(n + 1) * d, pa.int32()), pa.array(vectors.ravel(), pa.float32()))
