"""Generated seeds in a run: a language model writes against the policy's clauses, the filter judge decides what is kept."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from random import Random
from typing import Any

import pyarrow as pa

from sparring import record, registry
from sparring.context import Context, Event
from sparring.custody import is_prohibited
from sparring.policy import Category
from sparring.record import Record, digest
from sparring.remembered import Remembered
from sparring.store import source_of

from . import prompts, writer
from .writer import SeedWriter
from .yields import Yield, shares

SHARD = 2048  # samples; a kill costs none of them, what was written stands in the ledger
BLOCK = 16  # of them that share a seed and are told apart from one another
EXAMPLES = 24  # training rows that a category's prompts draw on, a round
TOLD = 64  # answers between two events of progress


@dataclasses.dataclass(frozen=True)
class Unit:
    """One shard's samples: `n` of a category, in blocks that are numbered from `first` on."""

    ctx: Context
    round: int
    number: int
    category: Category
    first: int
    n: int
    examples: tuple[Record, ...]

    @property
    def path(self) -> str:
        return f"round-{self.round:02d}/synth/raw-{self.number:05d}.parquet"

    @cached_property
    def key(self) -> dict[str, Any]:
        return {
            **self.ctx.key, "synth": self.ctx.job.synth.model, "n": self.n, "first": self.first,
            "examples": [r.id for r in self.examples], "judge": self.ctx.job.judges.filter,
            "code": source_of(writer, prompts), "round": self.round,
        }  # fmt: skip

    @property
    def blocks(self) -> Iterator[dict[str, Any]]:
        for number, start in enumerate(range(0, self.n, BLOCK), self.first):
            seed = int(digest(self.ctx.job.seed, number)[:7], 16)
            yield {"n": min(BLOCK, self.n - start), "round": self.round, "seed": seed}


def generate(ctx: Context, *, round: int) -> tuple[list[Record], dict[str, Any]]:
    """Violating records that the filter judge accepted; what fell stands beside them under `synth/raw-*`, with the reason."""
    units = _units(ctx, round) if ctx.job.synth.model else []
    missing = [unit for unit in units if not ctx.run.keeps(unit.path, unit.key)]
    model = ctx.remembered(_model(ctx)) if missing else None  # loaded only when something is to be written
    if model:
        units = _answered(units, missing, _ahead(ctx, model, missing))
    came = Yield(ctx, round)
    for unit in units:

        def make(unit: Unit = unit) -> pa.Table:
            assert model, "what is not kept has a model to write it"
            return _write(unit, SeedWriter(model))

        came.add(ctx.run.table(unit.path, unit.key, make), done=unit.number + 1, of=len(units))
    return came.result()


def _units(ctx: Context, round: int) -> list[Unit]:
    """The round's samples in shards."""
    units: list[Unit] = []
    first = 0
    for category, share in shares(ctx):
        shown = _examples(ctx, category, round)
        for done in range(0, share, SHARD):
            units.append(Unit(ctx, round, len(units), category, first, min(SHARD, share - done), shown))
            first += -(-units[-1].n // BLOCK)
    return units


def _examples(ctx: Context, category: Category, round: int) -> tuple[Record, ...]:
    rows = [
        r for r in ctx.corpus.by("train", violating=True) if r.label_name == category.name and not is_prohibited(r.text or "")
    ]
    return tuple(Random(digest(ctx.job.seed, round, category.name)).sample(rows, min(EXAMPLES, len(rows))))


def _model(ctx: Context) -> Any:
    part = ctx.job.synth.model
    assert part is not None, "units exist only with a model"
    return registry.make("text_model", part.kind, **part.settings)


def _answered(units: Sequence[Unit], missing: Sequence[Unit], answers: int) -> list[Unit]:
    """The units that can be written. Where a limit ended the window, the last one is smaller and the others are left out."""
    found = []
    for unit in units:
        if unit in missing:
            unit, answers = dataclasses.replace(unit, n=min(unit.n, answers)), answers - min(unit.n, answers)
        if unit.n:
            found.append(unit)
    return found


def _ahead(ctx: Context, model: Remembered, units: Sequence[Unit]) -> int:
    """Asks for all that the units will, in one refilled window: shard by shard the model would wait for the slowest of each.
    Returns how many answers there are from the first on without a gap."""
    asked: list[tuple[str, str]] = []
    seeds: list[int] = []
    for unit in units:
        for block in unit.blocks:
            mine, seed = SeedWriter(model).prompts(ctx.policy, unit.category, unit.examples, **block)
            asked += mine
            seeds += [seed] * len(mine)
    there, told = set[int](), Counter[str]()

    def tell(number: int, answer: Any) -> None:
        there.add(number)
        told.update(tokens=answer.tokens)
        if len(there) % TOLD == 0 or len(there) == len(asked):
            ctx.progress(Event("write", units[0].round, len(there), len(asked), {"tokens": told["tokens"]}))

    model.ahead(asked, seeds, told=tell)
    return next((i for i in range(len(asked)) if i not in there), len(asked))


def _write(unit: Unit, author: SeedWriter) -> pa.Table:
    return pa.concat_tables([_block(unit, author, block) for block in unit.blocks])


def _block(unit: Unit, author: SeedWriter, block: dict[str, Any]) -> pa.Table:
    ctx, category = unit.ctx, unit.category
    written = author.write(ctx.policy, category, unit.examples, **block)
    groups = {e.id: e.group for e in unit.examples}
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
