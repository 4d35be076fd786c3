"""The red team's work in a run: learn about a target on training rows, then attack seeds, a unit of 50 at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa

from sparring import engines, registry, results
from sparring.context import Context, Event
from sparring.custody import is_prohibited
from sparring.media import TEXTS, Content
from sparring.protocols import violation_scores
from sparring.record import BENIGN, Record, Step, digest, synthetic, to_table
from sparring.results import AttackResult, Refused, Twins
from sparring.retrain import Trained
from sparring.store import source_of
from sparring.text import canonical

from . import engine, knowledge, parts, surrogate, units, warmup
from .archive import elites as elites  # the loop asks it of this stage
from .knowledge import Knowledge

TWINS = 6  # benign rows perturbed for each success; with fewer, clean precision falls
TRIED = 12  # of which those are kept that the target scores highest
NEAREST = 100  # benign training rows that twins are made from
RANDOM_STRENGTH = (0.1, 0.2, 0.4)
SAID = pa.schema([("id", pa.string()), ("pair_id", pa.string()), ("score", pa.float64()), ("blocked", pa.bool_())])
EPSILON = 0.1  # of white: a step of the control that is trained on gradients


def attackable(ctx: Context, seeds: Sequence[Record]) -> list[Record]:
    """The seeds that may be changed: of a category that may be generated, and let through by custody's screen."""
    closed = {c.name for c in ctx.policy.categories if not c.may_generate}
    return [s for s in seeds if s.label_name not in closed and not is_prohibited(s.text or "")]


def learn(ctx: Context, path: str, trained: Trained) -> Knowledge:
    """Warm-up on training rows: what the attacker knows before it meets a seed."""
    job = ctx.job
    if job.medium is not TEXTS:  # what warm-up learns is about words
        return Knowledge()
    operators = ctx.operators()
    # A strategy that makes nothing of what warm-up learns is spared it.
    budget = job.attack.warmup if "knowledge" in registry.takes("attack", job.attack.strategy.kind) else 0
    asked = parts.surrogate(ctx)  # where there is one, it is asked, and the target is spared
    settings = {
        **ctx.key, "target": (asked or trained).key, "warmup": budget, "operators": job.attack.operators,
        "operator_settings": job.attack.operator_settings,
        "guide": job.mining.embedder,
        "code": source_of(warmup, surrogate, knowledge, *map(type, operators.values())),
    }  # fmt: skip
    if not asked and not _fits(ctx, path, settings, budget):
        settings["warmup"] = budget = 0

    def make() -> Any:
        violating = [r.text or "" for r in attackable(ctx, ctx.corpus.by("train", violating=True))]
        benign = [r.text or "" for r in ctx.corpus.by("train", violating=False)]
        found = warmup.learn(
            lambda t: violation_scores((asked or trained).target, t, failed_ok=True),
            violating,
            benign,
            operators,
            budget=budget,
            seed=job.seed,
            guide=ctx.embedder,
        )
        ctx.run.charge({"queries": 0 if asked else found.queries})
        return found.to_json()

    known = Knowledge.from_json(ctx.run.json(path, settings, make))
    strategy = parts.strategy(ctx, known, ctx.operators(known.phrase_texts))
    return replace(known, queries=(0 if asked else known.queries) + strategy.queries)


def attack(
    ctx: Context, path: str, trained: Trained, known: Knowledge, seeds: Sequence[Record], *, round: int,
    only: Sequence[str] = (), wins: int = 1,
) -> list[AttackResult]:  # fmt: skip
    """One result for each seed that custody lets pass, in order; units stand under `path`. With the job's operators, or with
    `only` those; of each seed up to `wins` successes are sought."""
    seeds = attackable(ctx, seeds)
    job = ctx.job.attack
    operators = ctx.operators(known.phrase_texts, only)
    strategy = parts.strategy(ctx, known, operators)
    # What makes nothing of operators has nothing to show where some alone are asked for.
    idle = bool(only) and "operators" not in registry.takes(ctx.job.medium.kind("attack"), job.strategy.kind)
    shared = {
        **ctx.key, "target": trained.key, "attack": job, "judges": ctx.job.judges, "knowledge": digest(known.to_json()),
        "guide": ctx.job.mining.embedder, "strategy": repr(strategy), "round": round, "only": list(only), "wins": wins,
        "surrogate": (second := parts.surrogate(ctx)) and second.key, "surrogates": [s.key for s in parts.surrogates(ctx)],
        "code": source_of(
            engine, units, *_code(strategy), surrogate, canonical, type(ctx.job.medium), *_code(ctx.judges.filter),
            *map(type, operators.values()),
        ),
    }  # fmt: skip
    budget = 1 if idle else job.budget
    work = units.Unit.of(ctx, strategy, trained, budget, wins)
    if engines.beside(trained.target).spreads and parts.sendable(ctx):
        units.ahead(ctx, work, path, shared, seeds)
    out: list[AttackResult] = []
    for number, start in enumerate(range(0, len(seeds), units.SEEDS)):
        chunk = seeds[start : start + units.SEEDS]
        n = units.kept(ctx, f"{path}-{number:05d}.parquet", shared, chunk)
        if n < len(chunk) and not ctx.meter.stop():
            n = max(n, ctx.meter.room(len(chunk), each=budget))
        if n == 0:
            break
        chunk = chunk[:n]
        key = units.key(shared, chunk)

        def make(chunk: Sequence[Record] = chunk) -> Any:
            found = work(units.of_seeds(chunk))
            ctx.run.charge({"queries": sum(r.queries for r in found)})
            return results.to_table(found)

        mine = results.from_table(ctx.run.table(f"{path}-{number:05d}.parquet", key, make))
        if "/outcomes/train" in path:
            ctx.meter.judged("attack", [r.status == "success" for r in mine if r.attacked])
        out += mine
        ctx.progress(Event(_told(path), round, min(start + units.SEEDS, len(seeds)), len(seeds), _counts(out)))
    return out


def _code(part: Any) -> tuple[Any, ...]:
    """What decides, by its source, what a judge says or a strategy proposes."""
    return getattr(part, "code", (type(part),))


def records(ctx: Context, results: Sequence[AttackResult], seeds: Sequence[Record], *, round: int) -> list[Record]:
    """The successes as records, each with its lineage, and the first of a pair with its benign twins to come."""
    by_id = {s.id: s for s in seeds}
    won = [
        _child(ctx, by_id[r.seed_id], s.content, s.operators, round, parameters=s.parameters)
        for r in results
        for s in r.successes
        if not ctx.job.medium.prohibited(s.content)
    ]
    return [replace(record, pair_id=record.id) for record in won]


def twins(ctx: Context, attacked: Sequence[Record], known: Knowledge, trained: Trained, *, round: int) -> Twins:
    """Benign rows perturbed by the same operators as each success, in a pair with it: without them a classifier learns that
    perturbed text violates. Their parents are the benign training rows nearest to the target's threshold, and of what is
    tried that is kept which it scores highest."""
    operators, asked = ctx.operators(known.phrase_texts), f"round-{round:02d}/twins"
    benign = ctx.corpus.by("train", violating=False)
    scores = _scores(ctx, f"{asked}/benign.json", trained, benign)
    if scores is None:
        return Twins()
    nearest = [benign[i] for i in np.argsort(-scores, kind="stable")[:NEAREST]]
    tried: dict[str, Record] = {}
    without = 0
    for record in attacked:
        rng = Random(digest(ctx.job.seed, record.id))
        steps = [s for s in record.operators if s.name in operators]  # a rewrite by a language model has no twin
        without += not steps
        for parent in rng.sample(nearest, min(TRIED, len(nearest))) if steps else ():
            content = perturb(parent.content, [(operators[s.name], s.strength) for s in steps], rng)
            twin = replace(_child(ctx, parent, content, steps, round), pair_id=record.pair_id)
            tried.setdefault(twin.id, twin)
    found = _scores(ctx, f"{asked}/tried.json", trained, list(tried.values()))
    if found is None:
        return Twins()
    score = dict(zip(tried, found.tolist(), strict=True))
    sides: dict[str | None, list[Record]] = {}
    for twin in tried.values():
        sides.setdefault(twin.pair_id, []).append(twin)
    kept = [t for side in sides.values() for t in sorted(side, key=lambda t: -score[t.id])[:TWINS]]
    blocked = frozenset(t.id for t in kept if score[t.id] > trained.target.threshold)
    return Twins(tuple(kept), {t.id: score[t.id] for t in kept}, blocked, len(tried), without)


def hard_negatives(ctx: Context, found: Twins, won: Sequence[Record], kept: Sequence[Record], *, round: int) -> None:
    """`twins`: each look-alike's id, pair, score, and whether the target blocked it. `part`: those that it blocked, as records,
    each pair with the success that it looks like."""
    said = [{"id": t.id, "pair_id": t.pair_id, "score": found.scores[t.id], "blocked": t.id in found.blocked} for t in kept]
    blocked = [t for t in kept if t.id in found.blocked]
    pairs = {t.pair_id for t in blocked}
    rows = [*(r for r in won if r.pair_id in pairs), *blocked]
    place = f"round-{round:02d}/hard_negatives"
    ctx.run.table(f"{place}/twins-00000.parquet", said, lambda: pa.Table.from_pylist(said, schema=SAID))
    ctx.run.table(f"{place}/part-00000.parquet", [r.id for r in rows], lambda: to_table(rows, ctx.policy.labels))


def _scores(ctx: Context, path: str, trained: Trained, rows: Sequence[Record]) -> np.ndarray | None:
    """(n,) what the target says of these rows, as a unit: a rerun does not ask it again. None where the limit on queries
    has no room for them."""
    key = [trained.key, [(r.id, r.content_hash) for r in rows]]
    if not _fits(ctx, path, key, len(rows)):
        return None

    def make() -> Any:
        ctx.run.charge({"queries": len(rows)})
        scores = violation_scores(trained.target, [r.content for r in rows], failed_ok=True)
        return np.nan_to_num(scores, nan=-1.0).tolist()  # what the target fails on comes last

    return np.array(ctx.run.json(path, key, make))


def _fits(ctx: Context, path: str, key: Any, queries: int) -> bool:
    """Whether a unit is there already, or the limit on queries has room for all that it asks."""
    return queries == 0 or ctx.run.keeps(path, key) or ctx.meter.room(1, each=queries) > 0


def at_random(ctx: Context, parents: Sequence[Record], *, n: int) -> list[Record]:
    """`n` rows perturbed by one to three operators drawn blindly: the control that never asks the target."""
    rng = Random(digest(ctx.job.seed, "at random", len(parents)))
    operators = ctx.operators(_phrases(ctx))
    out = []
    for _ in range(n):
        parent = rng.choice(parents)
        chain = rng.sample(sorted(operators), rng.randint(1, min(3, len(operators))))
        steps = [Step(name, rng.choice(RANDOM_STRENGTH), 0) for name in chain]
        content = perturb(parent.content, [(operators[s.name], s.strength) for s in steps], rng)
        out.append(_child(ctx, parent, content, steps, ctx.job.rounds))
    return out


def by_gradient(ctx: Context, trained: Trained, parents: Sequence[Record], *, n: int) -> list[Record]:
    """`n` images moved by one step of the target's gradient (FGSM): the control that is plain adversarial training. None where
    the target gives no gradients."""
    if ctx.job.medium is TEXTS or not getattr(trained.target, "gradients", False):
        return []
    from .images.pixel import fgsm_files

    rng = Random(digest(ctx.job.seed, "by gradient", len(parents)))
    chosen = [rng.choice(parents) for _ in range(n)]
    files = fgsm_files(trained.target, [p.image or b"" for p in chosen], [p.label_name for p in chosen], epsilon=EPSILON)
    step = [Step("fgsm", EPSILON, 0)]
    return [_child(ctx, parent, file, step, ctx.job.rounds) for parent, file in zip(chosen, files, strict=True)]


def _phrases(ctx: Context) -> tuple[str, ...]:
    """What dilution draws from where no target is asked; images know no phrases."""
    if ctx.job.medium is not TEXTS:
        return ()
    benign = [r.text or "" for r in ctx.corpus.by("train", violating=False)]
    return warmup.learn(_unasked, [], benign, {}, budget=0, seed=ctx.job.seed).phrase_texts


def _unasked(texts: Sequence[str]) -> Any:
    raise AssertionError("the control without search must not ask the target")


def perturb(content: Any, chain: Sequence[tuple[Any, float]], rng: Random) -> Any:
    """A content changed by operators of its medium, in order."""
    for operator, strength in chain:
        content = operator.apply(content, strength=min(1.0, max(0.05, strength)), rng=rng)
    return content


def rejected(ctx: Context, results: Sequence[AttackResult], seeds: Sequence[Record], *, round: int) -> list[tuple[Record, str]]:
    """What the filter judge refused, with the reason."""
    by_id = {s.id: s for s in seeds}
    pairs: list[tuple[Record, Refused]] = [(by_id[r.seed_id], hit) for r in results for hit in r.refused]
    return [(_child(ctx, seed, hit.content, hit.operators, round), hit.reason) for seed, hit in pairs]


def _child(
    ctx: Context, parent: Record, content: Content, operators: Any, round: int, *, parameters: str = ""
) -> Record:  # fmt: skip
    name = ctx.job.attack.strategy.kind if parent.label_name != BENIGN else "benign_twin"
    return synthetic(
        work=["attack", name, parent.id, content, operators, ctx.job.seed, round],
        **ctx.job.medium.fields(content), language=parent.language,
        label_name=parent.label_name, clause=parent.clause, severity=parent.severity,
        policy=ctx.policy.name, policy_version=ctx.policy.version, generator=parts.generator(ctx, name, parameters),
        parent_ids=(parent.id,), root_ids=parent.root_ids, operators=tuple(operators), round=round,
        group=parent.group, split=parent.split,
    )  # fmt: skip


def _told(path: str) -> str:
    """A unit's path as a stage's name: "attack test", "payoff 0-1"."""
    parent, _, name = path.rpartition("/")
    return f"payoff {name}" if parent == "payoff" else f"attack {name}"


def _counts(done: Sequence[AttackResult]) -> dict[str, Any]:
    attacked = [r for r in done if r.attacked]
    return {
        "samples": len(done),
        "queries": sum(r.queries for r in done),
        "asr": sum(r.evaded for r in attacked) / max(1, len(attacked)),
        "accepted": sum(len(r.successes) for r in done),
        "rejected": sum(len(r.refused) for r in done),
        **({"prompts": sum(r.prompts for r in done)} if any(r.prompts for r in done) else {}),
    }
