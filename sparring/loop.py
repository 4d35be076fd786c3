"""One round, then rounds: the one-way flow on one page. Stages are handed in; each reads and writes the run folder."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from . import lineage, measure, publish, retrain, summary
from .arms import control_arms
from .context import Context, Event, Progress, open_context
from .jobs import Job
from .record import Record, digest, to_table
from .results import AttackResult
from .retrain import Gate, Trained
from .stages import Stages


@dataclass(slots=True)
class State:
    """What one round hands to the next."""

    champion: Trained
    added: list[Record] = field(default_factory=list)  # to the training rows, over all rounds
    made: list[Record] = field(default_factory=list)  # every synthetic row kept, of any split
    won: list[Record] = field(default_factory=list)  # every training success, chosen by mining or not
    attackers: list[Any] = field(default_factory=list)
    champions: list[Trained] = field(default_factory=list)
    first: list[AttackResult] = field(default_factory=list)  # round 0's results on held-out seeds
    shown: list[tuple[int, AttackResult]] = field(default_factory=list)  # (round, result) on held-out seeds
    gate: Gate | None = None


def run(job: Job, stages: Stages, progress: Progress) -> pathlib.Path:
    """Spars for `job.rounds` retrainings and measures before, between and after. Returns the run folder."""
    with open_context(job, progress) as ctx:
        findings = stages.mining.examine(ctx)
        train = ctx.corpus.by("train")
        state = State(champion=retrain.fit(ctx, "target", train, seed=job.seed))
        rounds = [spar(ctx, stages, state, number, last=number == job.rounds) for number in range(job.rounds + 1)]
        arms = control_arms(ctx, stages, added=state.added, won=state.won) if job.rounds else {}
        payoff = play_all(ctx, stages, state)
        return summary.finish(ctx, rounds, arms=arms, payoff=payoff, findings=findings, made=state.made, shown=state.shown)


def spar(ctx: Context, stages: Stages, state: State, number: int, *, last: bool) -> dict[str, Any]:
    """One round: attack the champion, measure, and unless it is the last, mine, retrain and gate. Returns its figures."""
    folder, target = f"round-{number:02d}", state.champion
    entry: dict[str, Any] = {
        "round": number,
        "promoted": state.gate and state.gate.promoted,
        "gate_reason": state.gate and state.gate.reason,
    }
    known = stages.redteam.learn(ctx, f"{folder}/attacker.json", target)
    state.attackers.append(known)
    state.champions.append(target)
    held_out = ctx.corpus.by("test", violating=True)[: ctx.job.attack.test_seeds]
    tested = stages.redteam.attack(ctx, f"{folder}/outcomes/test", target, known, held_out, round=number)
    state.first = state.first or tested
    state.shown += [(number, result) for result in tested]
    entry |= measure.everything(ctx, target, known.phrase_texts, tested, state.first)
    entry |= {"warmup_queries": known.queries, "generated": 0, "accepted": 0, "rejected": {}}
    kept = keep(ctx, f"{folder}/attacks/test", state, stages.redteam.records(ctx, tested, held_out, round=number))
    if not last:
        written, yields = stages.synth.generate(ctx, round=number)
        written = keep(ctx, f"{folder}/synth/part", state, written)
        rng = Random(digest(ctx.job.seed, number))
        violating = ctx.corpus.by("train", violating=True)
        seeds = rng.sample(violating, min(ctx.job.attack.train_seeds, len(violating))) + written
        fought = stages.redteam.attack(ctx, f"{folder}/outcomes/train", target, known, seeds, round=number)
        won = stages.redteam.records(ctx, fought, seeds, round=number)
        won = keep(ctx, f"{folder}/attacks/train", state, won)
        score = {r.text: r.score or 0.0 for r in fought}
        chosen = stages.mining.pick(ctx, won, [score[r.text] for r in won], target.target.threshold, round=number)
        twins = stages.redteam.twins(ctx, chosen, known, ctx.corpus.by("train", violating=False), round=number)
        twins = keep(ctx, f"{folder}/attacks/benign", state, twins)
        state.added += [*written, *chosen, *twins]
        state.won += won
        refused = stages.redteam.rejected(ctx, fought, seeds, round=number)
        entry |= {**yields, "rejected": yields["rejected"] | summary.by_reason(reason for _, reason in refused)}
        put(ctx, f"{folder}/rejected/attacks", [record for record, _ in refused])
        challenge(ctx, stages, state, number, entry)
    entry["dataset"] = str(
        publish.dataset(ctx, f"{folder}/dataset", [*ctx.corpus.records, *state.made], facts=summary.facts(entry))
    )
    entry |= {"seconds": round(ctx.run.seconds(folder), 2), "hard_examples": len(kept), "added_rows": len(state.added)}
    ctx.progress(Event("round", number, 1, 1, {"valid_asr": entry["valid_asr_fresh"], "f1": entry["clean"]["f1"]}))
    return entry


def challenge(ctx: Context, stages: Stages, state: State, number: int, entry: dict[str, Any]) -> None:
    """Retrains on everything won so far and lets the challenger take over if the gate says so; on validation rows only."""
    folder = f"round-{number:02d}"
    seeds = ctx.corpus.by("validation", violating=True)[: ctx.job.attack.test_seeds]
    challenger = retrain.fit(ctx, f"{folder}/target", [*ctx.corpus.by("train"), *state.added], seed=ctx.job.seed)
    sides = []
    for name, side in (("champion", state.champion), ("challenger", challenger)):
        known = state.attackers[-1] if side is state.champion else stages.redteam.learn(ctx, f"{folder}/gate/{name}.json", side)
        results = stages.redteam.attack(ctx, f"{folder}/gate/{name}", side, known, seeds, round=number)
        sides.append((measure.clean(ctx, side, "validation")["clean"]["f1"][0], measure.share_won(results)))
    (f1_before, asr_before), (f1_after, asr_after) = sides
    state.gate = retrain.gate(
        f1_before=f1_before, f1_after=f1_after, asr_before=asr_before, asr_after=asr_after,
        max_f1_loss=ctx.job.retrain.max_f1_loss,
    )  # fmt: skip
    ctx.run.json(f"{folder}/gate/verdict.json", [challenger.key, state.champion.key], lambda: summary.plain(state.gate))
    if state.gate.promoted:
        state.champion = challenger


def keep(ctx: Context, path: str, state: State, records: list[Record]) -> list[Record]:
    """Writes the records that no split is bridged by; what stays belongs to the data set from now on."""
    bridges = lineage.bridging([*ctx.corpus.records, *state.made], records)
    kept = [r for r in records if r.id not in bridges]
    put(ctx, path, kept)
    state.made += kept
    return kept


def put(ctx: Context, path: str, records: Sequence[Record]) -> None:
    ctx.run.table(f"{path}-00000.parquet", [r.id for r in records], lambda: to_table(records, ctx.policy.labels))


def play_all(ctx: Context, stages: Stages, state: State) -> list[list[Any]]:
    """payoff[i][j]: valid success of round i's attacker on round j's target, over the first `payoff_seeds` test seeds."""
    seeds = ctx.corpus.by("test", violating=True)[: ctx.job.attack.payoff_seeds]
    return [
        [
            measure.attacked(ctx, stages.redteam.attack(ctx, f"payoff/{i}-{j}", target, known, seeds, round=i))[
                "valid_asr_fresh"
            ]
            for j, target in enumerate(state.champions)
        ]
        for i, known in enumerate(state.attackers)
    ]
