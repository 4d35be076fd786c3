"""Fits targets, sets their operating point, and decides whether a new one takes over."""

from __future__ import annotations

import pathlib
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .context import Context
from .errors import JobError, SparringError
from .metrics import operating_point
from .protocols import answered, violation_scores
from .publishing import write as publish
from .record import BENIGN, Record, digest
from .store import source_of
from .targets import encoder, scores
from .targets.base import BaseTarget, TrainableTarget


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted target at its operating point; `key` stands for everything that went into it."""

    target: BaseTarget
    key: str


@dataclass(frozen=True, slots=True)
class Gate:
    promoted: bool
    reason: str


def fit(
    ctx: Context, path: str, rows: Sequence[Record], *, seed: int, again: bool = False, other: BaseTarget | None = None
) -> Trained:
    """Trains the job's target on `rows`, `again` by the settings of `retrain`, or takes one that is used as it is; the
    threshold is set on real validation rows at `max_fpr`, where the job does not leave the target its own. With `other` that
    target, which no command trains."""
    prototype: BaseTarget = other or ctx.target(again=again)
    command = None if other else ctx.job.retrain.command
    validation = ctx.corpus.by("validation")
    key = {
        **ctx.key, "target": repr(prototype), "rows": [(r.id, r.label_name, r.content_hash) for r in rows], "fit_seed": seed,
        "command": command,
        "max_fpr": ctx.job.max_fpr, "content": prototype.content(),
        "code": source_of(*(c for c in type(prototype).__mro__ if issubclass(c, BaseTarget)), scores, encoder),
    }  # fmt: skip

    def make(aside: pathlib.Path) -> None:
        with tempfile.TemporaryDirectory(prefix="sparring-") as place:
            target = made(ctx, prototype, rows, pathlib.Path(place), seed=seed, command=command)
            if ctx.job.max_fpr is not None:
                found = violation_scores(target, [r.content for r in validation], failed_ok=True)
                violating, sound = np.array([r.label_name != BENIGN for r in validation]), answered(found)
                target.threshold = operating_point(found[sound], violating[sound], ctx.job.max_fpr)
            target.save(aside)

    return Trained(type(prototype).load(ctx.run.unit(path, key, make)), digest(key))


def made(
    ctx: Context, prototype: BaseTarget, rows: Sequence[Record], place: pathlib.Path, *, seed: int, command: str | None
) -> BaseTarget:
    """A target that answers for the policy's labels; what a command leaves stands under `place`."""
    if command:
        return prototype.left_at(elsewhere(ctx, rows, place), ctx.policy.labels)
    if isinstance(prototype, TrainableTarget):
        contents, labels = [r.content for r in rows], [r.label_name for r in rows]
        return prototype.fit(contents, labels, names=ctx.policy.labels, seed=seed)
    return prototype.with_labels(ctx.policy.labels)


def elsewhere(ctx: Context, rows: Sequence[Record], place: pathlib.Path) -> pathlib.Path:
    """Has the job's command train: it finds a dataset folder at {data} and leaves at {out} what the target kind loads."""
    command, data, out = ctx.job.retrain.command or "", place / "dataset", place / "out"
    publish.write(data, rows, ctx.policy, name=ctx.job.name, facts={})
    words = [word.format(data=data, out=out) for word in shlex.split(command)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise JobError(f"retrain.command: expected a program, {words[0]!r}: {error.strerror}") from None
    if done.returncode or not out.exists():
        last = (done.stderr.strip().splitlines() or ["it wrote no error"])[-1]
        raise SparringError(
            f"retrain.command ended with {done.returncode} and left {'a' if out.exists() else 'no'} model: {last}"
        )
    return out


@dataclass(frozen=True, slots=True)
class Side:
    """A target on validation rows. `f1`: clean, at thresholds that other rows set; `row`: what F1 would lose by one more row;
    `won`: the area under an attack's filter-valid success by queries."""

    f1: float
    row: float
    won: float


def gate(first: Side, champion: Side, challenger: Side, *, max_f1_loss: float) -> Gate:
    """Promotes when attacks win less on the challenger than on the champion, or later, and F1 fell by no more than
    `max_f1_loss` since the `first` target, so that small losses don't add up; the loss of a single row passes."""
    f1 = f"validation F1 {first.f1:.3f} at first, now {challenger.f1:.3f}"
    won = f"attack success over all budgets {champion.won:.3f} to {challenger.won:.3f}"
    allowed = max(max_f1_loss, first.row)
    if challenger.f1 < first.f1 - allowed - 1e-9:
        return Gate(False, f"{f1}, a loss of more than {allowed:.3g}")
    if challenger.won >= champion.won:
        return Gate(False, f"{won}, no gain")
    return Gate(True, f"{f1}, {won}")


def told(gate: Gate | None) -> dict[str, Any]:
    """The gate's verdict under the summary's names; None before any retraining."""
    return {"promoted": gate and gate.promoted, "gate_reason": gate and gate.reason}
