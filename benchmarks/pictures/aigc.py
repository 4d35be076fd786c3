"""Does the audit of pairs of real and generated images find planted shortcuts, and accuse no clean set?"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from benchmarks.shared import Row
from sparring import registry, vision
from sparring.protocols import Drawn
from synth.images import aigc, shortcuts

SEEDS = (21, 22, 23, 24, 25)  # the audit was set up on others


def rows(quick: bool = False) -> list[Row]:
    """Audits of sets with one planted shortcut each, and of clean ones."""
    seeds = SEEDS[:1] if quick else SEEDS
    found = [bool(name in audit(real, made).found) for seed in seeds for name, (real, made) in planted(seed).items()]
    accused = [bool(audited(made)) for seed in seeds for made in clean(seed)]
    fragile = audit(scans(2, seeds[0]), scans(0, seeds[0]))
    return [
        Row("aigc", "shortcut_found", "share of planted", float(np.mean(found)), goal=1.0),
        Row("aigc", "clean_accused", "share of clean sets", float(np.mean(accused)), goal=0.0, higher_is_better=False),
        Row("aigc", "plain_detector", "balanced accuracy", fragile.detector),
        Row("aigc", "plain_detector_jpeg", "balanced accuracy", fragile.processed["jpeg"]),
    ]


def audit(real: list[bytes], made: list[bytes]) -> shortcuts.Audit:
    groups = [str(i) for i in range(len(real))] * 2
    return shortcuts.audit(real + made, [False] * len(real) + [True] * len(made), groups, epochs=4)


def planted(seed: int) -> dict[str, tuple[list[bytes], list[bytes]]]:
    """The name of what is planted -> the two sides."""
    real = scans(3, seed)
    values = [vision.decoded(image) for image in real]
    return {
        "format": (real, [aigc.written(v, "jpeg", 60) for v in values]),
        "size": (real, [vision.png(v[1:]) for v in values]),
        "metadata": (real, [vision.png(v, {"made by": "a generator"}) for v in values]),
        "encoder": ([aigc.written(v, "jpeg", 90) for v in values], [aigc.written(v, "jpeg", 75) for v in values]),
        "exact values": (real, [vision.png(np.where(v < 40, 0, v).astype(np.uint8)) for v in values]),
        "jpeg": (scans(2, seed), scans(0, seed)),  # noise of single pixels alone, which JPEG takes away
    }


def clean(seed: int) -> list[aigc.Pairs]:
    """Pairs that differ by a generator that bends its start, in the build of `aigc.pairs`."""
    real = scans(3, seed)
    labels = ["digit"] * len(real)
    return [aigc.pairs(real, labels, {name: bent(name)}, size=32, seed=seed) for name in ("elastic", "affine")]


def bent(name: str) -> Callable[[Any], list[Drawn]]:
    operator = registry.make("image_operator", name)
    return lambda briefs: [Drawn(operator.apply(b.start, strength=0.8, rng=Random(b.seed))) for b in briefs]


def audited(found: aigc.Pairs) -> shortcuts.Audit:
    samples = found.samples
    return shortcuts.audit([s.image for s in samples], found.generated(), [s.source for s in samples], epochs=4)


def scans(noise: float, seed: int) -> list[bytes]:
    """Scikit-learn's digits as a scanner gives them, 32 pixels wide, with or without the noise of a sensor."""
    from PIL import Image
    from sklearn.datasets import load_digits

    rng, files = np.random.default_rng(seed), []
    for digit in load_digits().images[rng.permutation(1797)[:200]]:
        big = Image.fromarray((digit * 14).astype(np.uint8)).resize((32, 32), Image.Resampling.BICUBIC)
        files.append(vision.png((np.asarray(big, float) + 12 + rng.normal(0, noise, (32, 32))).clip(0, 255).astype(np.uint8)))
    return files
