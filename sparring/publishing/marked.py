"""Generated images of a dataset say so themselves: text in the file, and a C2PA manifest. Pixels are not touched."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from .. import provenance, signer
from ..context import Context
from ..jobs import ProvenanceSettings
from ..provenance import Note, Source
from ..record import Record
from ..store import source_of

MARKED = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8")  # the kinds of file that hold a note


def marked(ctx: Context, records: Iterable[Record]) -> list[Record]:
    """The records, each synthetic image with its note and manifest. A unit for each round, kept: a signature has its own random
    part, so signing again would give other bytes in every dataset."""
    rows = list(records)
    by_round: dict[int, list[Record]] = {}
    for row in rows:
        if _generated(row):
            by_round.setdefault(row.round or 0, []).append(row)
    files: dict[str, bytes] = {}
    for number, made in by_round.items():
        files |= _of_round(ctx, number, made)
    return [dataclasses.replace(row, image=files[row.id]) if row.id in files else row for row in rows]


def told(settings: ProvenanceSettings) -> str:
    """Who signs: "off", "unvouched" for a signer made for the moment, or the hash of the chain."""
    from .. import refs

    if settings.chain:
        return refs.content(settings.chain) or ""
    there = importlib.util.find_spec("c2pa") is not None
    return "unvouched" if settings.c2pa == "auto" and there else "off"


def source(record: Record) -> Source:
    """In the terms of IPTC: drawn by a trained model, out of somebody's image or of none; or by an algorithm alone."""
    if record.generator is None or record.generator.model in (None, record.generator.name, "flyer", "dummy"):
        return "algorithmicMedia"
    return "compositeWithTrainedAlgorithmicMedia" if record.parent_ids else "trainedAlgorithmicMedia"


def _generated(record: Record) -> bool:
    return record.origin == "synthetic" and record.image is not None and record.image.startswith(MARKED)


def _of_round(ctx: Context, number: int, rows: Sequence[Record]) -> dict[str, bytes]:
    """id -> file."""
    settings = ctx.job.provenance
    by = told(settings)

    def make() -> pa.Table:
        signing = _signer(settings) if by != "off" else None
        return pa.table({"id": [r.id for r in rows], "image": pa.array([_file(r, signing) for r in rows], pa.binary())})

    key = {"rows": [(r.id, r.content_hash) for r in rows], "by": by, "code": source_of(marked, provenance.noted)}
    found = ctx.run.table(f"round-{number:02d}/marked.parquet", key, make)
    return dict(zip(found["id"].to_pylist(), found["image"].to_pylist(), strict=True))


def _signer(settings: ProvenanceSettings) -> signer.Signer:
    if not settings.chain or not settings.key:
        return signer.unvouched()
    chain, key = (provenance.pem(path) for path in (settings.chain, settings.key))
    return signer.Signer(chain, key, settings.algorithm)


def _file(record: Record, signing: signer.Signer | None) -> bytes:
    note = Note(record.generator.name if record.generator else "", record.id)
    file: Any = provenance.noted(record.image or b"", note)
    if signing:
        file = provenance.signed(
            file, note, chain=signing.chain, key=signing.key, algorithm=signing.algorithm, source=source(record)
        )
    return bytes(file)
