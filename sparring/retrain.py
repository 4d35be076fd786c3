"""Fits targets, sets their operating point, and decides whether a new one takes over."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from . import registry
from .context import Context
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
    prototype: TrainableTarget = registry.make("target", ctx.job.target.kind, **ctx.job.target.settings)
    validation = ctx.corpus.by("validation")
    key = {
        **ctx.key, "target": repr(prototype), "rows": [(r.id, r.label_name, r.content_hash) for r in rows], "fit_seed": seed,
        "max_fpr": ctx.job.max_fpr, "code": source_of(type(prototype)),
    }  # fmt: skip

    def make(aside: pathlib.Path) -> None:
        target = prototype.fit([r.text or "" for r in rows], [r.label_name for r in rows], names=ctx.policy.labels, seed=seed)
        scores = violation_scores(target, [r.text for r in validation])
        target.threshold = operating_point(scores, np.array([r.label_name != BENIGN for r in validation]), ctx.job.max_fpr)
        target.save(aside)

    return Trained(type(prototype).load(ctx.run.unit(path, key, make)), digest(key))


def gate(*, f1_before: float, f1_after: float, asr_before: float, asr_after: float, max_f1_loss: float) -> Gate:
    """Promotes when validation F1 fell by no more than `max_f1_loss` and fewer attacks succeed on validation seeds."""
    if f1_after < f1_before - max_f1_loss:
        return Gate(False, f"validation F1 fell from {f1_before:.3f} to {f1_after:.3f}, more than {max_f1_loss}")
    if asr_after >= asr_before:
        return Gate(False, f"attacks on validation seeds succeed as often as before: {asr_before:.3f}, now {asr_after:.3f}")
    return Gate(True, f"validation F1 {f1_before:.3f} to {f1_after:.3f}, attack success {asr_before:.3f} to {asr_after:.3f}")
