"""Generated seeds in a run: a language model writes against the policy's clauses, the filter judge decides what is kept."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pyarrow as pa

from sparring import record, registry
from sparring.context import Context, Event
from sparring.custody import is_prohibited
from sparring.policy import Category
from sparring.protocols import TextModel
from sparring.record import Record, digest
from sparring.store import source_of
from sparring.text import near_pairs

from . import prompts, writer
from .writer import SeedWriter

UNIT = 16  # samples asked for at once: what a kill costs at most
EXAMPLES = 24  # training rows that a category's prompts draw on, a round


def generate(ctx: Context, *, round: int) -> tuple[list[Record], dict[str, Any]]:
    """Violating records that the filter judge accepted; what fell stands beside them under `synth/raw-*`, with the reason."""
    asked = _units(ctx) if ctx.job.synth.model else []
    accepted: list[Record] = []
    fallen: Counter[str] = Counter()
    model: list[TextModel] = []  # loaded by the first unit that is not done yet
    for number, (category, n) in enumerate(asked):
        rows = [
            r
            for r in ctx.corpus.by("train", violating=True)
            if r.label_name == category.name and not is_prohibited(r.text or "")
        ]
        examples = Random(digest(ctx.job.seed, round, category.name)).sample(rows, min(EXAMPLES, len(rows)))
        key = {
            **ctx.key, "synth": ctx.job.synth.model, "n": n, "number": number, "examples": [r.id for r in examples],
            "judge": ctx.job.judges.filter, "code": source_of(writer, prompts), "round": round,
        }  # fmt: skip

        def make(
            category: Category = category, n: int = n, number: int = number, examples: Sequence[Record] = examples
        ) -> pa.Table:
            if not model:
                model.append(_model(ctx))
            return _write(ctx, SeedWriter(model[0]), category, examples, n=n, round=round, number=number)

        table = ctx.run.table(f"round-{round:02d}/synth/raw-{number:05d}.parquet", key, make)
        reasons = table.column("reason").to_pylist()
        for row, reason in zip(record.from_table(table.drop_columns(["reason"])), reasons, strict=True):
            if reason:
                fallen[reason] += 1
            else:
                accepted.append(row)
        counts = {"generated": len(accepted) + fallen.total(), "accepted": len(accepted), "rejected": fallen.total()}
        ctx.progress(Event("synth", round, number + 1, len(asked), counts))
    total = len(accepted) + fallen.total()
    accepted, copies = _without_copies(accepted)
    return accepted, {"generated": total, "accepted": len(accepted), "rejected": dict(fallen + Counter(copy=copies))}


def _units(ctx: Context) -> list[tuple[Category, int]]:
    """(category, samples) of each unit: the round's samples in equal shares over what may be generated."""
    categories = [c for c in ctx.policy.categories if c.may_generate]
    units = []
    for i, category in enumerate(categories):
        share = (ctx.job.synth.samples + i) // len(categories)
        units += [(category, min(UNIT, share - done)) for done in range(0, share, UNIT)]
    return units


def _model(ctx: Context) -> TextModel:
    part = ctx.job.synth.model
    assert part is not None, "units exist only with a model"
    return registry.make("text_model", part.kind, **part.settings)


def _write(
    ctx: Context, author: SeedWriter, category: Category, examples: Sequence[Record], *, n: int, round: int, number: int
) -> pa.Table:
    seed = int(digest(ctx.job.seed, number)[:7], 16)
    written = author.write(ctx.policy, category, examples, n=n, round=round, seed=seed)
    groups = {e.id: e.group for e in examples}
    rows = [*written.records, *(r.record for r in written.rejected)]
    # A generated row belongs to the group of the first example it was shown; without one it is its own root.
    rows = [
        dataclasses.replace(r, root_ids=r.root_ids or (r.id,), group=groups[r.parent_ids[0]] if r.parent_ids else r.id)
        for r in rows
    ]
    texts = [r.text or "" for r in written.records]
    verdicts = ctx.judges.filter.assess([""] * len(texts), texts, [category.name] * len(texts))
    reasons = [v.reason for v in verdicts] + [r.reason for r in written.rejected]
    return record.to_table(rows, ctx.policy.labels).append_column("reason", pa.array(reasons, pa.string()))


def _without_copies(records: list[Record]) -> tuple[list[Record], int]:
    """Near duplicates of an earlier record left out; the writer sees one unit only."""
    if not records:
        return records, 0
    row, other = near_pairs([r.text or "" for r in records])
    copies = {int(i) for i in row[other < row]}
    return [r for i, r in enumerate(records) if i not in copies], len(copies)
