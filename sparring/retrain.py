"""Fits targets, sets their operating point, and decides whether a new one takes over."""

from __future__ import annotations

import pathlib
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import publish
from .context import Context
from .errors import JobError, SparringError
from .metrics import operating_point
from .protocols import violation_scores
from .record import BENIGN, Record, digest
from .store import source_of
from .targets.base import TrainableTarget


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted target at its operating point; `key` stands for everything that went into it."""

    target: TrainableTarget
    key: str


@dataclass(frozen=True, slots=True)
class Gate:
    promoted: bool
    reason: str


def fit(ctx: Context, path: str, rows: Sequence[Record], *, seed: int) -> Trained:
    """Trains the job's target on `rows`; the threshold is set on real validation rows at `max_fpr`."""
    prototype: TrainableTarget = ctx.target()
    validation = ctx.corpus.by("validation")
    key = {
        **ctx.key, "target": repr(prototype), "rows": [(r.id, r.label_name, r.content_hash) for r in rows], "fit_seed": seed,
        "command": ctx.job.retrain.command,
        "max_fpr": ctx.job.max_fpr, "code": source_of(type(prototype)),
    }  # fmt: skip

    def make(aside: pathlib.Path) -> None:
        if ctx.job.retrain.command:
            target = elsewhere(ctx, prototype, rows, aside)
        else:
            target = prototype.fit(
                [r.text or "" for r in rows], [r.label_name for r in rows], names=ctx.policy.labels, seed=seed
            )
        scores = violation_scores(target, [r.text for r in validation])
        target.threshold = operating_point(scores, np.array([r.label_name != BENIGN for r in validation]), ctx.job.max_fpr)
        shutil.rmtree(aside, ignore_errors=True)
        target.save(aside)

    return Trained(type(prototype).load(ctx.run.unit(path, key, make)), digest(key))


def elsewhere(ctx: Context, prototype: TrainableTarget, rows: Sequence[Record], out: pathlib.Path) -> TrainableTarget:
    """Has the job's command train: it finds a dataset folder at {data} and leaves at {out} what the target kind loads."""
    command = ctx.job.retrain.command or ""
    with tempfile.TemporaryDirectory(prefix="sparring-") as place:
        data = pathlib.Path(place) / "dataset"
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
    target = type(prototype).load(out)
    if target.labels != ctx.policy.labels:
        raise JobError(f"retrain.command: expected a model with the labels {ctx.policy.labels}, got {target.labels}")
    return target


@dataclass(frozen=True, slots=True)
class Side:
    """A target on validation rows: clean F1, and the share of caught seeds that an attack gets past it, filter-valid."""

    f1: float
    asr: float


def gate(champion: Side, challenger: Side, *, max_f1_loss: float) -> Gate:
    """Promotes when validation F1 fell by no more than `max_f1_loss` and fewer attacks succeed on validation seeds."""
    f1 = f"validation F1 {champion.f1:.3f} to {challenger.f1:.3f}"
    asr = f"attack success on validation seeds {champion.asr:.3f} to {challenger.asr:.3f}"
    if challenger.f1 < champion.f1 - max_f1_loss:
        return Gate(False, f"{f1}, a loss of more than {max_f1_loss}")
    if challenger.asr >= champion.asr:
        return Gate(False, f"{asr}, no gain")
    return Gate(True, f"{f1}, {asr}")


def told(gate: Gate | None) -> dict[str, Any]:
    """The gate's verdict under the summary's names; None before any retraining."""
    return {"promoted": gate and gate.promoted, "gate_reason": gate and gate.reason}
