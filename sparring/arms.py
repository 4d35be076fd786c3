"""Control arms: what the same number of rows does without search, without mining, without any attack at all; and of images,
generated without guidance, moved by a gradient, or all of it together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from . import measure, retrain
from .context import Context, Event
from .media import IMAGES
from .record import BENIGN, Record, digest
from .stages import Stages


def control_arms(ctx: Context, stages: Stages, *, added: Sequence[Record], won: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Final figures of each arm: trained once, on as many added rows as ours unless it is said, attacked anew like ours.

    `added` is what the last target that the gate let pass was trained on, and `won` every success on training seeds until then,
    mined or not: rows of rounds that the gate held back would be more than ours had. Where none passed, those of all rounds.
    """
    train = ctx.corpus.by("train")
    rng = Random(digest(ctx.job.seed, "arms"))
    chosen = {r.id for r in added}
    unmined = [r for r in added if not r.operators]  # generated seeds: in every round alike
    hard = [r for r in added if r.operators and r.label_name != BENIGN]
    twins = [r for r in added if r.operators and r.label_name == BENIGN]
    drawn = rng.sample(list(won), min(len(hard), len(won)))
    arms: dict[str, tuple[list[Record], int]] = {
        "same_data_new_seed": ([rng.choice(train) for _ in chosen], ctx.job.seed + 1),
        "random_operators": (_random(ctx, stages, len(hard) + len(unmined), len(twins)), ctx.job.seed),
        "without_mining": ([*unmined, *drawn, *twins], ctx.job.seed),
    }
    if ctx.job.medium is IMAGES:
        arms |= _of_images(ctx, stages, added, violating=len(hard) + len(unmined), benign=len(twins))
    held_out = ctx.corpus.by("test", violating=True)[: ctx.job.attack.test_seeds]
    out = {}
    for number, (name, (rows, seed)) in enumerate(arms.items(), 1):
        trained = retrain.fit(ctx, f"arms/{name}/target", [*train, *rows], seed=seed, again=True)
        known = stages.redteam.learn(ctx, f"arms/{name}/attacker.json", trained)
        results = stages.redteam.attack(ctx, f"arms/{name}/test", trained, known, held_out, round=ctx.job.rounds)
        figures = measure.everything(ctx, trained, known, results, [])
        out[name] = measure.final(figures, rows=len(rows))
        ctx.progress(Event("arms", ctx.job.rounds, number, len(arms), {"arm": name}))
    return out


def _of_images(
    ctx: Context, stages: Stages, added: Sequence[Record], *, violating: int, benign: int
) -> dict[str, tuple[list[Record], int]]:
    """What else teaches a classifier of images: the job's generator left alone (as many images, of which the filter judge keeps
    some), FGSM on training rows, and ours together with FGSM and corruption."""
    job, train, arms = ctx.job, ctx.corpus.by("train"), dict[str, tuple[list[Record], int]]()
    if job.synth.model and violating:
        more = job.synth.model_copy(update={"samples": violating})
        plain, _ = stages.synth.generate(replace(ctx, job=job.model_copy(update={"synth": more})), round=job.rounds)
        arms["plain_generation"] = (plain, job.seed)
    first = retrain.fit(ctx, "target", train, seed=job.seed)
    if moved := stages.redteam.by_gradient(ctx, first, train, n=violating + benign):
        arms["adversarial_training"] = (moved, job.seed)
        arms["ours_combined"] = ([*added, *moved, *_random(ctx, stages, violating, benign)], job.seed)
    return arms


def _random(ctx: Context, stages: Stages, violating: int, benign: int) -> list[Record]:
    rows = stages.redteam.at_random(ctx, ctx.corpus.by("train", violating=True), n=violating)
    return rows + stages.redteam.at_random(ctx, ctx.corpus.by("train", violating=False), n=benign)
