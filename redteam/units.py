"""Seeds are attacked a unit at a time. A unit holds all that it needs, so that it may be done anywhere."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sparring import engines, results
from sparring.context import Context, Judges
from sparring.media import Medium
from sparring.protocols import Judge, Target, Verdict
from sparring.record import Record
from sparring.results import AttackResult, Refused, Success
from sparring.retrain import Trained

from . import engine
from .engine import Seed

SEEDS = 50  # of a unit


@dataclass(frozen=True)
class Unit:
    """Seeds -> what came of attacking each, in order: all that it needs, so that it may be done anywhere."""

    strategy: engine.Attack
    target: Target
    judges: Judges
    budget: int
    judge_budget: int
    seed: int
    longer: float
    payload: tuple[str, ...]
    medium: Medium
    wins: int = 1
    gpu: ClassVar[bool] = True

    @classmethod
    def of(cls, ctx: Context, strategy: engine.Attack, trained: Trained, budget: int, wins: int = 1) -> Unit:
        job = ctx.job
        return cls(
            strategy, trained.target, ctx.judges, budget, job.attack.judge_budget, job.seed, job.judges.longer,
            tuple(ctx.policy.payload), job.medium, wins,
        )  # fmt: skip

    def __call__(self, seeds: Sequence[Seed]) -> list[AttackResult]:
        found = engine.attack(
            self.strategy, self.target, seeds, self.judges.filter, budget=self.budget, judge_budget=self.judge_budget,
            seed=self.seed, longer=self.longer, payload_patterns=self.payload, medium=self.medium,
            wins=self.wins,
        )  # fmt: skip
        return _audited(self.judges.audit, found)


def ahead(ctx: Context, work: Unit, path: str, shared: dict[str, Any], seeds: Sequence[Record]) -> None:
    """Whole units that are missing, beside one another; each is committed when it comes. What a limit on queries leaves no
    room for, were every seed to use its budget, stays for the loop that asks before each unit."""
    starts = range(0, len(seeds), SEEDS)
    chunks = {f"{path}-{i:05d}.parquet": seeds[start : start + SEEDS] for i, start in enumerate(starts)}
    missing = [(place, chunk) for place, chunk in chunks.items() if kept(ctx, place, shared, chunk) < len(chunk)]
    while len(missing) > 1 and not ctx.meter.stop():
        room, fitting = ctx.meter.left(each=work.budget), list[tuple[str, Sequence[Record]]]()
        for place, chunk in missing:
            room = None if room is None else room - len(chunk)
            if room is not None and room < 0:
                break
            fitting.append((place, chunk))
        if len(fitting) < 2:
            return
        pieces = (of_seeds(chunk) for _, chunk in fitting)
        for number, found in engines.current().each(work, pieces, stop=ctx.meter.stop):
            place, chunk = fitting[number]
            ctx.run.charge({"queries": sum(r.queries for r in found)})
            ctx.run.table(place, key(shared, chunk), functools.partial(results.to_table, found))
        missing = missing[len(fitting) :]


def of_seeds(chunk: Sequence[Record]) -> list[Seed]:
    return [Seed(s.id, s.content, s.label_name, s.clause) for s in chunk]


def kept(ctx: Context, path: str, shared: dict[str, Any], chunk: Sequence[Record]) -> int:
    """How many of these seeds the unit holds; a limit on queries may have cut it short."""
    lengths = range(len(chunk), 0, -1) if ctx.run.keeps(path) else ()
    return next((n for n in lengths if ctx.run.keeps(path, key(shared, chunk[:n]))), 0)


def key(shared: dict[str, Any], chunk: Sequence[Record]) -> dict[str, Any]:
    return {**shared, "seeds": [(s.id, s.content_hash) for s in chunk]}


def _audited(judge: Judge, found: Sequence[engine.Outcome]) -> list[AttackResult]:
    won = [o for o in found if o.sample is not None]
    verdicts = judge.assess([o.seed.text for o in won], [o.sample.text for o in won if o.sample], [o.seed.label for o in won])
    audit = {id(o): v for o, v in zip(won, verdicts, strict=True)}
    return [
        AttackResult(
            seed_id=o.seed.id, status=o.status, queries=o.queries, evaded=o.evaded, clean_score=o.clean_score,
            content=o.sample.text if o.sample else None, operators=o.sample.steps if o.sample else (), score=o.score,
            flat_score=o.flat_score,
            judge_score=o.verdict.score if o.verdict else None, audit=audit[id(o)].valid if id(o) in audit else None,
            stood=o.stood, silent=id(o) in audit and audit[id(o)].silent,
            refused=tuple(Refused(c.text, c.steps, score, reason) for c, score, reason in o.rejected),
            further=tuple(_success(told, verdict) for told, verdict in o.further),
            prompts=o.prompts, parameters=o.sample.parameters if o.sample else "",
        )
        for o in found
    ]  # fmt: skip


def _success(told: engine.Told, verdict: Verdict) -> Success:
    made = told.candidate
    return Success(made.text, made.steps, told.score, told.flat_score, verdict.score, made.parameters)
