"""What a round's generated shards came to, whatever medium they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from sparring import record
from sparring.context import Context, Event
from sparring.policy import Category
from sparring.record import Record


def shares(ctx: Context) -> Iterator[tuple[Category, int]]:
    """(category, samples): the round's samples in equal shares over what may be generated."""
    categories = [c for c in ctx.policy.categories if c.may_generate]
    for i, category in enumerate(categories):
        yield category, (ctx.job.synth.samples + i) // len(categories)


class Yield:
    """Sorts the rows of shards, which have a column `reason`, into accepted and fallen; tells the meter and progress."""

    def __init__(self, ctx: Context, round: int):
        self.ctx, self.round = ctx, round
        self._accepted: list[Record] = []
        self._fallen: Counter[str] = Counter()

    def add(self, table: pa.Table, *, done: int, of: int) -> None:
        """One shard, the `done`th of so many."""
        reasons = table.column("reason").to_pylist()
        for row, reason in zip(record.from_table(table.drop_columns(["reason"])), reasons, strict=True):
            if reason:
                self._fallen[reason] += 1
            else:
                self._accepted.append(row)
        self.ctx.meter.judged("synth", [not reason for reason in reasons])
        counts = {"generated": self._total, "accepted": len(self._accepted), "rejected": self._fallen.total()}
        self.ctx.progress(Event("synth", self.round, done, of, counts))

    @property
    def _total(self) -> int:
        return len(self._accepted) + self._fallen.total()

    def result(self) -> tuple[list[Record], dict[str, Any]]:
        """The accepted records without near duplicates of earlier ones (a shard sees itself only), and the counts."""
        kept, copies = self._accepted, set[int]()
        if kept:
            row, other = self.ctx.job.medium.near_pairs([r.content for r in kept])
            copies = {int(i) for i in row[other < row]}
        unique = [r for i, r in enumerate(kept) if i not in copies]
        rejected = dict(self._fallen + Counter(copy=len(copies)))
        return unique, {"generated": self._total, "accepted": len(unique), "rejected": rejected}
