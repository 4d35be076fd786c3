"""One round, then rounds: the one-way flow on one page. Stages are handed in; each reads and writes the run folder."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pyarrow as pa

from . import lineage, measure, retrain, summary
from .arms import control_arms
from .context import Context, Event, Progress, open_context
from .jobs import Job
from .publishing import beside
from .publishing import write as publish
from .record import Record, digest, to_table
from .results import AttackResult
from .retrain import Gate, Side, Trained
from .stages import Elites, Stages

STAGES = ("attack", "synth", "mine", "retrain", "publish", "report")  # in the order of a round; the report ends the run


@dataclass(slots=True)
class State:
    """What one round hands to the next."""

    champion: Trained
    entries: list[dict[str, Any]] = field(default_factory=list)  # each round's figures
    added: list[Record] = field(default_factory=list)  # to the training rows, over all rounds
    made: list[Record] = field(default_factory=list)  # every synthetic row kept, of any split
    scores: list[dict[str, Any]] = field(default_factory=list)  # what targets and judges said of them
    won: list[Record] = field(default_factory=list)  # every training success, chosen by mining or not
    taught: tuple[int, int] | None = None  # how many of `added` and of `won` there were when the champion was trained
    archive: Elites | None = None  # over `won`
    attackers: list[Any] = field(default_factory=list)
    champions: list[Trained] = field(default_factory=list)
    fought: list[tuple[Record, AttackResult]] = field(default_factory=list)  # training seeds and what came of them
    tested: list[list[AttackResult]] = field(default_factory=list)  # each round's results on held-out seeds
    gate: Gate | None = None
    first: Side | None = None  # the first target as the gate saw it

    @property
    def lessons(self) -> tuple[list[Record], list[Record]]:
        """Of `added` and of `won` what the champion was trained on; all where the gate let none pass."""
        added, won = self.taught or (None, None)
        return self.added[:added], self.won[:won]


def run(job: Job, stages: Stages, progress: Progress, *, until: tuple[int, str] | None = None) -> pathlib.Path:
    """Spars for `job.rounds` retrainings and measures before, between and after; returns the run folder.

    Whatever the folder already holds is kept. `until` stops after a round's stage, one of `STAGES`.
    """
    with open_context(job, progress) as ctx:
        findings = stages.mining.examine(ctx)
        state = State(champion=retrain.fit(ctx, "target", ctx.corpus.by("train"), seed=job.seed))
        for number in range(job.retrainings + 1):
            for stage in spar(ctx, stages, state, number, last=number == job.retrainings):
                if until == (number, stage):
                    return ctx.run.folder
            if number < job.retrainings and ended(ctx, f"round-{number + 1:02d}/outcomes/test-00000.parquet"):
                break
        whole = job.retrainings and not ended(ctx, "arms/same_data_new_seed/attacker.json")
        added, won = state.lessons
        arms = control_arms(ctx, stages, added=added, won=won) if whole else {}
        arms = {} if ctx.meter.stopped else arms  # those of a limit's last seeds can't be compared
        return summary.finish(ctx, state, arms=arms, payoff=play_all(ctx, stages, state), findings=findings)


def ended(ctx: Context, next_unit: str) -> bool:
    """Whether a limit keeps the run from going on to what begins with this unit; what is there already costs nothing."""
    return not ctx.run.keeps(next_unit) and ctx.meter.stop()


def spar(ctx: Context, stages: Stages, state: State, number: int, *, last: bool) -> Iterator[str]:
    """One round: attack the champion and measure it; unless it is the last, write, mine and retrain; publish.

    Yields the name of each stage when it is done."""
    folder, target = f"round-{number:02d}", state.champion
    known = stages.redteam.learn(ctx, f"{folder}/attacker.json", target)
    held_out = ctx.corpus.by("test", violating=True)[: ctx.job.attack.test_seeds]
    tested = stages.redteam.attack(ctx, f"{folder}/outcomes/test", target, known, held_out, round=number)
    state.attackers.append(known)
    state.champions.append(target)
    state.tested.append(tested)
    entry: dict[str, Any] = {"round": number, "generated": 0, "accepted": 0, "rejected": {}}
    entry |= {**retrain.told(state.gate), **measure.everything(ctx, target, known, tested, state.tested[0])}
    if unseen := ctx.job.attack.held_out:
        results = stages.redteam.attack(ctx, f"{folder}/outcomes/unseen", target, known, held_out, round=number, only=unseen)
        entry["valid_asr_held_out"] = measure.valid_asr(results)
    ctx.run.json(f"{folder}/figures.json", entry, entry.copy)
    past = keep(ctx, f"{folder}/attacks/test", state, stages.redteam.records(ctx, tested, held_out, round=number))
    state.scores += beside.scores(ctx, past, tested, round=number)
    yield "attack"
    if not last or ctx.job.retrain.by == "none":
        written, yields = stages.synth.generate(ctx, round=number)
        written = keep(ctx, f"{folder}/synth/part", state, written)
        yield "synth"
        seeds = draw(ctx, number) + written
        fought = fight(ctx, stages, state, seeds, known, number)
        by_id = {s.id: s for s in seeds}
        state.fought += [(by_id[r.seed_id], r) for r in fought]
        refused = stages.redteam.rejected(ctx, fought, seeds, round=number)
        put(ctx, f"{folder}/rejected/attacks", [record for record, _ in refused], [reason for _, reason in refused])
        entry |= summary.yields(yields, [reason for _, reason in refused])
        won = keep(ctx, f"{folder}/attacks/train", state, stages.redteam.records(ctx, fought, seeds, round=number))
        state.scores += beside.scores(ctx, won, fought, round=number)
        state.archive = stages.redteam.elites(ctx, f"{folder}/archive/part", state.archive, won, state.won, seeds, round=number)
        entry["archive"] = state.archive.told(number)
        chosen = stages.mining.pick(ctx, won, target, state.archive.niches, round=number)
        found = stages.redteam.twins(ctx, chosen, known, target, round=number)
        twins, entry["benign_twins"] = keep(ctx, f"{folder}/attacks/benign", state, [*found.records]), found.told()
        stages.redteam.hard_negatives(ctx, found, chosen, twins, round=number)
        state.added += [*written, *chosen, *twins]
        state.won += won
        yield "mine"
    if not last and not ended(ctx, f"{folder}/gate/verdict.json"):
        challenge(ctx, stages, state, number)
        yield "retrain"
    entry |= {"added_rows": len(state.added), "seconds": round(ctx.run.seconds(folder), 2)}
    rows = [*ctx.corpus.records, *state.made]
    facts = summary.facts(entry)
    entry["dataset"] = str(publish.dataset(ctx, f"{folder}/dataset", rows, facts=facts, scores=state.scores))
    state.entries.append(entry)
    ctx.progress(Event("round", number, 1, 1, {"valid_asr": entry["valid_asr_fresh"], "f1": entry["clean"]["f1"]}))
    yield "publish"


def fight(ctx: Context, stages: Stages, state: State, seeds: Sequence[Record], known: Any, number: int) -> list[AttackResult]:
    """Attacks training seeds, in their order. A classifier knows the rows it was trained on, so what gets past it there is
    little; with `attack.folds` each seed is attacked on one that was trained without its group, as the next will be."""
    folder, folds, wins = f"round-{number:02d}", ctx.job.attack.folds, ctx.job.attack.wins
    if folds == 1:
        return stages.redteam.attack(ctx, f"{folder}/outcomes/train", state.champion, known, seeds, round=number, wins=wins)
    rows = [*ctx.corpus.by("train"), *state.added]
    found: dict[str, AttackResult] = {}
    for fold in range(folds):
        out = [s for s in seeds if _fold(s, folds) == fold]
        place = f"{folder}/folds/{fold}"
        others = [r for r in rows if _fold(r, folds) != fold]
        trained = retrain.fit(ctx, f"{place}/target", others, seed=ctx.job.seed, again=True)
        known = stages.redteam.learn(ctx, f"{place}/attacker.json", trained)
        results = stages.redteam.attack(
            ctx, f"{folder}/outcomes/train-{fold}", trained, known, out, round=number, wins=wins
        )  # fmt: skip
        found |= {r.seed_id: r for r in results}
    return [found[s.id] for s in seeds if s.id in found]


def _fold(record: Record, folds: int) -> int:
    return int(digest(record.group), 16) % folds


def challenge(ctx: Context, stages: Stages, state: State, number: int) -> None:
    """Retrains on everything won so far; the challenger takes over if the gate says so, by validation rows alone."""
    folder = f"round-{number:02d}"
    seeds = ctx.corpus.by("validation", violating=True)[: ctx.job.attack.test_seeds]
    challenger = retrain.fit(ctx, f"{folder}/target", [*ctx.corpus.by("train"), *state.added], seed=ctx.job.seed, again=True)
    fresh = stages.redteam.learn(ctx, f"{folder}/gate/challenger.json", challenger)
    sides = []
    for name, side, known in (("champion", state.champion, state.attackers[-1]), ("challenger", challenger, fresh)):
        results = stages.redteam.attack(ctx, f"{folder}/gate/{name}", side, known, seeds, round=number)
        sides.append(retrain.Side(*measure.held_f1(ctx, side), measure.won(results, ctx.job.attack.budget)))
    state.first = state.first or sides[0]
    state.gate = retrain.gate(state.first, *sides, max_f1_loss=ctx.job.retrain.max_f1_loss)
    ctx.run.json(f"{folder}/gate/verdict.json", [challenger.key, state.champion.key], lambda: retrain.told(state.gate))
    if state.gate.promoted:
        state.champion, state.taught = challenger, (len(state.added), len(state.won))


def draw(ctx: Context, number: int) -> list[Record]:
    """The round's seeds out of the real training rows that violate."""
    violating = ctx.corpus.by("train", violating=True)
    return Random(digest(ctx.job.seed, number)).sample(violating, min(ctx.job.attack.train_seeds, len(violating)))


def keep(ctx: Context, path: str, state: State, records: list[Record]) -> list[Record]:
    """Writes the records that do not bridge two splits; they belong to the data set from now on."""
    bridges = lineage.bridging([*ctx.corpus.records, *state.made], records, ctx.job.medium)
    kept = [r for r in records if r.id not in bridges]
    put(ctx, path, kept)
    state.made += kept
    return kept


def put(ctx: Context, path: str, records: Sequence[Record], reasons: Sequence[str] | None = None) -> None:
    """Records as a shard, with a column `reason` for those that were refused."""

    def make() -> Any:
        table = to_table(records, ctx.policy.labels)
        return table if reasons is None else table.append_column("reason", pa.array(reasons, pa.string()))

    ctx.run.table(f"{path}-00000.parquet", [[r.id for r in records], reasons], make)


def play_all(ctx: Context, stages: Stages, state: State) -> list[list[Any]]:
    """payoff[i][j]: valid success of round i's attacker on round j's target, over the first `payoff_seeds` test seeds."""
    seeds = ctx.corpus.by("test", violating=True)[: min(ctx.job.attack.payoff_seeds, ctx.job.attack.test_seeds)]
    ids = {s.id for s in seeds}

    def play(i: int, j: int) -> Any:
        known, target = state.attackers[i], state.champions[j]
        if i == j:  # that attack was run already, on these seeds among others
            results = [r for r in state.tested[i] if r.seed_id in ids]
        else:
            results = stages.redteam.attack(ctx, f"payoff/{i}-{j}", target, known, seeds, round=i)
        return measure.attacked(ctx, results)["valid_asr_fresh"]

    return [[play(i, j) for j in range(len(state.champions))] for i in range(len(state.attackers))]
