"""What `sparring synth train` does: reads the images, trains, writes the folder whole or not at all."""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sparring.errors import UserError

from . import examples, lora, training
from .diffusion import Diffusion

Progress = Callable[[int, int], None]


def train(
    source: str, out: pathlib.Path, columns: Mapping[str, Any], options: Mapping[str, Any], *, progress: Progress
) -> dict[str, Any]:
    """A generator `tiny` in `out`; what it came to. `options` are those of `training.Settings`."""
    with _aside(out) as folder:
        found = examples.read(source, **columns)
        trained = training.train(found.images, found.labels, training.Settings(**options), progress=progress)
        trained.pipeline.save(folder)
    return _said(out, found) | {"loss": round(trained.losses[-1], 4), "cpu_seconds": round(trained.cpu_s, 1)}


def adapt(
    source: str, out: pathlib.Path, model: str, columns: Mapping[str, Any], *, steps: int, rank: int, seed: int,
    progress: Progress,
) -> dict[str, Any]:  # fmt: skip
    """A LoRA adapter for `model` in `out`; what it came to."""
    settings = lora.Settings(steps=steps, rank=rank, seed=seed)
    with _aside(out) as folder:
        found = examples.read(source, **columns)
        losses = lora.train(Diffusion(model=model), found.images, found.labels, settings, folder, progress=progress)
    last = losses[-max(1, len(losses) // 10) :]
    return _said(out, found) | {"loss": round(sum(last) / len(last), 4)}


def _said(out: pathlib.Path, found: examples.Examples) -> dict[str, Any]:
    return {
        "path": str(out), "images": len(found.images), "labels": dict(sorted(Counter(found.labels).items())),
        "left_out": dict(found.rejected),
    }  # fmt: skip


@contextmanager
def _aside(out: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder beside `out` that takes its name when all went well."""
    import shutil

    if out.exists():
        raise UserError(f"{out}: expected a folder that is not there yet. Fix: --out NAME")
    aside = out.with_name(f".{out.name}.aside")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        aside.rename(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
