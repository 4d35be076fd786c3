"""The archive of self-play: MAP-Elites (Mouret and Clune 2015, https://arxiv.org/abs/1504.04909) over what fooled a target.

A success on a training seed falls into cells, by the axes below; the best of a cell is its elite. What training never sees
(held-out seeds, the audit judge's verdicts) has no part in it, because mining picks by it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa

from sparring import registry
from sparring.context import Context
from sparring.index import Index
from sparring.media import TEXTS, Medium
from sparring.protocols import Embedder
from sparring.record import Record
from sparring.results import Niche
from sparring.store import source_of
from sparring.text import canonical

NEIGHBOURS = 5
Cell = tuple[str, ...]
Values = tuple[str, ...]  # of one axis
Records = Sequence[Record]


def clause(record: Record) -> Values:
    """The clause that is violated; the label where no clause is known."""
    return (record.clause or record.label_name,)


def family(record: Record) -> Values:
    """Each family of operators in its chain: by the strongest alone, whatever dilution takes part in would be dilution."""
    return tuple(sorted({registry.family(step.name) for step in record.operators})) or ("none",)


def language(record: Record) -> Values:
    return (record.language or "und",)


AXES: tuple[Callable[[Record], Values], ...] = (clause, family, language)
NAMES = tuple(axis.__name__ for axis in AXES)
SCHEMA = pa.schema(
    [("id", pa.string()), *((name, pa.list_(pa.string())) for name in NAMES), ("objective", pa.float64()),
     ("edited", pa.float64()), ("novelty", pa.float64()), ("round", pa.int64()), ("elite", pa.bool_()), ("by", pa.string())]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """A success as the archive ranks it. `objective` is its similarity to its parent, to two decimals; between equals the
    less `edited` (strengths of its operators, summed) is better, then the smaller id. `novelty` decides nothing here."""

    id: str
    values: tuple[Values, ...]  # on each axis
    objective: float
    edited: float
    novelty: float
    round: int

    @property
    def rank(self) -> tuple[float, float, str]:
        return -self.objective, self.edited, self.id

    @property
    def cells(self) -> list[Cell]:
        return list(product(*self.values))


@dataclass(frozen=True, slots=True)
class Archive:
    """`axes`: the values of each axis that the job can reach; `entries`: every success so far."""

    axes: tuple[Values, ...]
    entries: frozenset[Entry] = frozenset()

    def add(self, new: Iterable[Entry]) -> Archive:
        return Archive(self.axes, self.entries | set(new))

    @property
    def elites(self) -> dict[Cell, Entry]:
        """The best entry of each filled cell: the same whatever the order in which they came."""
        best: dict[Cell, Entry] = {}
        for entry in sorted(self.entries, key=lambda e: e.rank):
            for cell in entry.cells:
                best.setdefault(cell, entry)
        return dict(sorted(best.items()))

    @property
    def count(self) -> Counter[Cell]:
        return Counter(cell for entry in self.entries for cell in entry.cells)

    @property
    def niches(self) -> dict[str, Niche]:
        """By id: of an entry's cells one that no earlier round had filled, else the one with the fewest entries."""
        count, first = self.count, dict.fromkeys(self.elites, sys.maxsize)
        for entry in self.entries:
            for cell in entry.cells:
                first[cell] = min(entry.round, first[cell])
        stands = {e.id: min((first[cell] < e.round, count[cell], cell) for cell in e.cells) for e in self.entries}
        return {name: Niche("|".join(cell), covered) for name, (covered, _, cell) in stands.items()}

    @property
    def figures(self) -> dict[str, Any]:
        """`coverage`: filled cells of those that can be reached; `qd_score`: the elites' objectives, summed."""
        reachable, elites = set(product(*self.axes)), self.elites
        return {
            "coverage": round(len(reachable & elites.keys()) / max(1, len(reachable)), 4),
            "qd_score": round(sum(e.objective for e in elites.values()), 4),
            "filled": len(elites),
            "reachable": len(reachable),
            "successes": len(self.entries),
        }

    def told(self, number: int) -> dict[str, Any]:
        """The figures as they stand, and of one round: how many were `new`, and their mean `novelty`."""
        new = sorted(e.novelty for e in self.entries if e.round == number)
        return self.figures | {"new": len(new), "novelty": round(float(np.mean(new)), 4) if new else None}

    def summary(self) -> dict[str, Any]:
        """The figures, the values that can be reached, and every filled cell with its elite; ids, no texts."""
        count = self.count
        cells = [
            dict(zip(NAMES, cell, strict=True))
            | {"count": count[cell], "id": e.id, "objective": e.objective, "novelty": e.novelty, "round": e.round}
            for cell, e in self.elites.items()
        ]
        return self.figures | {"axes": dict(zip(NAMES, map(list, self.axes), strict=True)), "cells": cells}


def elites(
    ctx: Context, path: str, known: Archive | None, won: Records, earlier: Records, seeds: Records, *, round: int
) -> Archive:
    """`known` with the round's successes in it; where each stands is kept as a table at `path`. `earlier`: the successes of
    the rounds before, which novelty is measured against."""
    before = known or Archive(reachable(ctx))
    key = {
        **ctx.key, "embedder": ctx.job.mining.embedder, "won": [r.id for r in won], "earlier": [r.id for r in earlier],
        "seeds": [(s.id, s.content_hash) for s in seeds], "code": source_of(Archive, type(ctx.job.medium), canonical),
    }  # fmt: skip

    def make() -> pa.Table:
        new = entries(won, seeds, earlier, ctx.embedder, round=round, medium=ctx.job.medium)
        best = {e.id for e in before.add(new).elites.values()}
        common = [{"elite": e.id in best, "by": ctx.embedder.name} for e in new]
        rows = [dict(zip(NAMES, e.values, strict=True)) | asdict(e) | c for e, c in zip(new, common, strict=True)]
        return pa.Table.from_pylist(rows, schema=SCHEMA)

    rows = ctx.run.table(f"{path}-00000.parquet", key, make).to_pylist()
    numbers = ("objective", "edited", "novelty", "round")
    return before.add(Entry(r["id"], tuple(tuple(r[name]) for name in NAMES), *(r[n] for n in numbers)) for r in rows)


def reachable(ctx: Context) -> tuple[Values, ...]:
    """The values of each axis: what violating training rows carry and, with a generator, the policy's clauses; both only of
    categories that may be generated. A clause that neither a row nor a generator can bring is no gap of the attacker's."""
    allowed = [c for c in ctx.policy.categories if c.may_generate]
    rows = [r for r in ctx.corpus.by("train", violating=True) if any(r.label_name == c.name for c in allowed)]
    clauses, languages = ({value for r in rows for value in axis(r)} for axis in (clause, language))
    written: list[str] = []
    if ctx.job.synth.model and ctx.job.medium is TEXTS:  # a generator of images is asked for a label, not for a clause
        written = [part.id for c in allowed for part in c.clauses]
        languages.add(ctx.policy.language)
    named = dict.fromkeys([*sorted(clauses), *written])
    return tuple(named), tuple(ctx.families), tuple(sorted(languages))


def entries(
    won: Records, seeds: Records, earlier: Records, embedder: Embedder, *, round: int, medium: Medium = TEXTS
) -> list[Entry]:  # fmt: skip
    """An entry for each success; its parent is one of `seeds`."""
    origin = {s.id: s.content for s in seeds}
    parents, contents = [origin[r.parent_ids[0]] for r in won], [r.content for r in won]
    similar = similarity(embedder.encode([*map(medium.flat, parents)]), embedder.encode([*map(medium.flat, contents)]))
    far = novelty(embedder.encode(contents), embedder.encode([r.content for r in earlier]))
    edited = np.round([sum(s.strength for s in r.operators) for r in won], 4).tolist()
    found = zip(won, similar.round(2).tolist(), edited, far.round(4).tolist(), strict=True)
    return [Entry(r.id, tuple(axis(r) for axis in AXES), s, e, f, round) for r, s, e, f in found]


def similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(n,) in [0, 1]: cosine of (n, d) unit vectors, row by row."""
    return np.clip((one * other).sum(1, dtype=np.float64), 0, 1)


def novelty(new: np.ndarray, earlier: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """(n,) in [0, 1]: mean cosine distance of each of `new` (n, d) to its `k` nearest of `earlier` (m, d), unit vectors
    (Lehman and Stanley 2011, https://doi.org/10.1162/EVCO_a_00025); 1 while there is nothing to be near to."""
    if not len(new) or not len(earlier):
        return np.ones(len(new))
    cosine, _ = Index(earlier).nearest(new, min(k, len(earlier)))
    return np.clip(1 - cosine.mean(1, dtype=np.float64), 0, 1)
