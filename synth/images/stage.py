"""Generated images in a run: the job's generator draws each category that may be generated, the filter judge decides what is
kept."""

from __future__ import annotations

import dataclasses
from typing import Any

import pyarrow as pa

from sparring import generators, record, registry
from sparring.context import Context
from sparring.custody import check_text
from sparring.policy import Category
from sparring.protocols import Brief
from sparring.record import Generator, Record, digest, synthetic
from sparring.remembered import RememberedImages
from sparring.store import source_of

from ..yields import Yield, shares

UNIT = 32  # images asked for at once: what a kill costs at most


def generate(ctx: Context, *, round: int) -> tuple[list[Record], dict[str, Any]]:
    """Violating records that the filter judge accepted; what fell stands beside them under `synth/raw-*`, with the reason."""
    came = Yield(ctx, round)
    part = ctx.job.synth.model
    asked, made_by = (_units(ctx), registry.find("image_model", part.kind)) if part else ([], None)
    for number, (category, n) in enumerate(asked):
        key = {
            **ctx.key, "synth": part, "n": n, "number": number, "judge": ctx.job.judges.filter,
            "code": source_of(generators.image_model, made_by), "round": round,
        }  # fmt: skip

        def make(category: Category = category, n: int = n, number: int = number) -> pa.Table:
            return _draw(ctx, category, n=n, round=round, number=number)

        path = f"round-{round:02d}/synth/raw-{number:05d}.parquet"
        if not ctx.run.keeps(path) and ctx.meter.stop():
            break
        came.add(ctx.run.table(path, key, make), done=number + 1, of=len(asked))
    return came.result()


def _units(ctx: Context) -> list[tuple[Category, int]]:
    """(category, images) of each unit."""
    return [(category, min(UNIT, n - done)) for category, n in shares(ctx) for done in range(0, n, UNIT)]


def _draw(ctx: Context, category: Category, *, n: int, round: int, number: int) -> pa.Table:
    model = generators.image_model(ctx)
    # What sets a prompt as text writes one of its own for the label; a rule is no spam.
    prompt = "" if getattr(model, "sets_text", False) else category.definition
    check_text(prompt)
    seeds = [int(digest(ctx.job.seed, round, number, i)[:7], 16) for i in range(n)]
    drawn = RememberedImages(model, ctx.ledger).draw([Brief(category.name, seed, prompt=prompt) for seed in seeds])
    said = model.describe()
    rows, reasons = [], []
    for seed, one in zip(seeds, drawn, strict=True):
        made_by = Generator.of(said, seed=seed, parameters=one.parameters)
        row = synthetic(
            work=["image", said.get("revision"), category.name, one.parameters, ctx.job.seed, round, seed], image=one.image,
            label_name=category.name, generator=made_by, round=round, split="train", **ctx.record(),
        )  # fmt: skip
        rows.append(dataclasses.replace(row, root_ids=(row.id,), group=row.id))
        reasons.append(one.reason)
    there = [i for i, row in enumerate(rows) if row.image is not None]
    verdicts = ctx.judges.filter.assess([""] * len(there), [rows[i].content for i in there], [category.name] * len(there))
    for i, verdict in zip(there, verdicts, strict=True):
        reasons[i] = verdict.reason
    return record.to_table(rows, ctx.policy.labels).append_column("reason", pa.array(reasons, pa.string()))
