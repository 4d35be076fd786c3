"""What `sparring synth train` and `sparring synth aigc` do: read the images, work, write the folder whole or not at all."""

from __future__ import annotations

import pathlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pydantic

from sparring import refs, registry
from sparring.errors import UserError
from sparring.jobs import Part
from sparring.media import IMAGES
from sparring.record import digest
from sparring.yamls import read_model

from . import aigc as pairing
from . import aigc_folder, examples, lora, shortcuts, training
from .diffusion import Diffusion

NAME = re.compile(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*")  # of a generator: it becomes a file's and a configuration's
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


def aigc(
    source: str, out: pathlib.Path, generators: pathlib.Path, columns: Mapping[str, Any], options: Mapping[str, Any], *,
    seed: int, most: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Pairs of real and generated images in `out`, with their splits, card and audit; what they came to, and the audit's lines.

    `generators` is a YAML file, name -> an image model's `kind` and settings; its relative paths count from its folder.
    `options` are those of `aigc.pairs`; of the images at most `most` are taken.
    """
    with _aside(out) as folder, refs.relative_to(generators.parent):
        models = _models(generators)
        found = examples.read(source, **columns)
        images, labels = _first(found, most)
        made = pairing.pairs(images, labels, models, seed=seed, **options)
        if not made.samples:
            raise UserError(f"expected at least one generated image; got none: {dict(made.failed)}")
        groups = {digest(i.hex()): str(g) for i, g in zip(images, IMAGES.groups(images), strict=True)}
        many = len({s.against for s in made.samples}) > 1
        splits = pairing.leave_one_out(made, groups=groups, seed=seed) if many else []
        enough = len(made.samples) >= shortcuts.FEWEST and len({s.source for s in made.samples}) >= shortcuts.GROUPS
        audit = None
        if enough:
            files, sources = [s.image for s in made.samples], [groups[s.source] for s in made.samples]
            audit = shortcuts.audit(files, made.generated(), sources, size=min(options["size"], 64), seed=seed)
        described = {name: model.describe() for name, model in models.items()}
        aigc_folder.write(folder, made, splits, audit, name=out.name, made_by=described)
    counted = Counter(s.generator for s in made.samples if s.generator)
    return {
        "path": str(out), "pairs": len(made.samples) // 2, "real": aigc_folder.real(made),
        "generated": dict(sorted(counted.items())), "failed": dict(made.failed), "left_out": dict(found.rejected),
        "configurations": [f"without_{s.held_out}" for s in splits],
        "shortcuts": dict(audit.found) if audit else None,
        "audit": aigc_folder.lines(audit) if audit else ["too few images for an audit"],
    }  # fmt: skip


class _Generators(pydantic.RootModel[dict[str, Part]]):
    """name -> an image model."""


def _models(path: pathlib.Path) -> dict[str, Any]:
    named = read_model(_Generators, path, UserError).root
    if wrong := [name for name in named if not NAME.fullmatch(name)]:
        raise UserError(f"{path}: expected names of letters, digits, _ and -, got {wrong[0]!r}")
    if not named:
        raise UserError(f"{path}: expected at least one generator. Fix: NAME: {{kind: tiny, model: FOLDER}}")
    return {name: registry.make("image_model", part.kind, **part.settings) for name, part in named.items()}


def _first(found: examples.Examples, most: int | None) -> tuple[list[bytes], list[str]]:
    """The images, each once and the first `most`, spread over the rows as they come."""
    once = {image: label for image, label in zip(found.images, found.labels, strict=True)}
    step = max(1, len(once) // most) if most else 1
    kept = list(once.items())[::step][:most]
    return [image for image, _ in kept], [label for _, label in kept]


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
