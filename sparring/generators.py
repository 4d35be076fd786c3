"""The job's generator of images, for the stages that draw with it: loaded once, trained in the run where it has to be."""

from __future__ import annotations

import functools
import json
import pathlib
from typing import Any
from weakref import WeakKeyDictionary

from . import refs, registry
from .context import Context
from .errors import JobError
from .jobs import Part
from .protocols import ImageModel
from .store import Run, source_of

_OF_RUNS: WeakKeyDictionary[Run, ImageModel] = WeakKeyDictionary()


def image_model(ctx: Context) -> ImageModel:
    """As the job's `synth.model` says. One that learns and names no `model` is trained on the run's own training rows, with the
    settings under `train`, as the unit `generator`: no image of another split is an ancestor of what it draws."""
    part = ctx.job.synth.model
    if part is None:
        raise JobError("expected `synth.model`, a generator of images; the job names none")
    if ctx.run not in _OF_RUNS:  # every record of what it drew asks; the unit's key and bytes are looked at once
        _OF_RUNS[ctx.run] = _of_run(ctx, part)
    return _OF_RUNS[ctx.run]


def _of_run(ctx: Context, part: Part) -> Any:
    made, settings = registry.find("image_model", part.kind), part.settings
    if not getattr(made, "trainable", False) or settings.get("model"):
        return _loaded(part.kind, json.dumps(settings, sort_keys=True), str(refs.base()))
    training = settings.pop("train", {})
    rows = ctx.corpus.by("train")
    key = {
        **ctx.key, "training": training, "rows": [(r.id, r.label_name, r.content_hash) for r in rows], "code": source_of(made),
    }  # fmt: skip

    def make(aside: pathlib.Path) -> None:
        contents, labels = [r.content for r in rows], [r.label_name for r in rows]
        made.learn(contents, labels, aside, seed=ctx.job.seed, **training)

    folder = ctx.run.unit("generator", key, make)
    return _loaded(part.kind, json.dumps({**settings, "model": str(folder.resolve())}, sort_keys=True), str(refs.base()))


@functools.lru_cache(2)
def _loaded(kind: str, settings: str, base: str) -> Any:
    """Its weights are loaded once for all units; `base` is where its reference counts from."""
    return registry.make("image_model", kind, **json.loads(settings))
