"""Flyers: what rendering and reading one costs, what share of its words is read; and whether the audit of pairs of real and
generated images finds planted shortcuts, and accuses no clean set. CPU seconds, one thread.

python benchmarks/pictures/flyers.py [--quick]    # prints the figures as JSON
"""

from __future__ import annotations

import functools
import json
import pathlib
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from random import Random
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from benchmarks.shared import Row
from sparring import ocr, registry, vision
from sparring.protocols import Brief, Drawn
from synth.images import aigc, shortcuts

FIRST = 50_000  # seeds of the flyers that are reported; what the reader was set up on lies below
PEER = "rapidocr's defaults"
SPELT = {"recall_plain": "none", "recall_leet": "leet", "recall_spaced": "dotted", "recall_letters_apart": "spacing"}
GOAL = {"recall_leet": 0.95, "recall_spaced": 0.95}


def rows(quick: bool = False) -> list[Row]:
    """The figures of the settings `flyers` and `aigc`."""
    return [*flyers(6 if quick else 60), *pairs(quick)]


def flyers(n: int) -> list[Row]:
    """`n` flyers of each spelling, half spam, half notices, read by both settings of one reader in turn."""
    ours: dict[str, list[float]] = {metric: [] for metric in SPELT}
    theirs: dict[str, list[float]] = {metric: [] for metric in SPELT}
    others: list[float] = []
    seconds: dict[str, list[float]] = {"render": [], "ours": [], "theirs": []}
    for metric, trick in SPELT.items():
        model, before = registry.make("image_model", "flyer", tricks=[trick]), ""
        if not seconds["render"]:  # fonts, models and word lists are loaded once, not timed
            warm = model.draw([Brief("spam", s) for s in range(8)])[0].image
            ocr.read(warm), defaults(warm)
        for i in range(n):
            start = time.process_time()
            drawn = model.draw([Brief("spam" if i % 2 else "benign", FIRST + i)])[0]
            rendered = time.process_time()
            found = ocr.read(drawn.image)
            read = time.process_time()
            usual = defaults(drawn.image)
            ended = time.process_time()
            text = json.loads(drawn.parameters)["page"]["text"]
            ours[metric].append(ocr.recall(text, found))
            theirs[metric].append(ocr.recall(text, usual))
            if before:
                others.append(ocr.recall(before, found))
            before = text
            for name, spent in zip(seconds, (rendered - start, read - rendered, ended - read), strict=True):
                seconds[name].append(spent)
    made = [
        Row("flyers", "ocr_cpu_s", "CPU-s a flyer", _mean(seconds["ours"]), _mean(seconds["theirs"]), PEER, 0.3, False),
        Row(
            "flyers", "render_ms", "CPU-ms a flyer", 1000 * float(np.median(seconds["render"])), goal=60, higher_is_better=False
        ),
        Row("flyers", "recall_of_another", "share of another flyer's words", _mean(others), higher_is_better=False),
    ]
    unit = "share of words"
    return made + [Row("flyers", m, unit, _mean(ours[m]), _mean(theirs[m]), PEER, GOAL.get(m)) for m in SPELT]


@functools.cache
def _reader() -> Any:
    from rapidocr import RapidOCR

    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    return RapidOCR(params={"Global.log_level": "error", **threads})


def defaults(image: bytes) -> str:
    """What the reader finds as it comes: with its net for upside-down lines, the shorter side at 736, six lines at a time."""
    return "\n".join(_reader()(np.ascontiguousarray(vision.pixels([image], size=480, channels=3)[0][:, :, ::-1])).txts or ())


def pairs(quick: bool) -> list[Row]:
    """Audits of sets with one planted shortcut each, and of clean ones."""
    seeds = (21,) if quick else (21, 22)
    found = [bool(name in audit(real, made).found) for seed in seeds for name, (real, made) in planted(seed).items()]
    accused = [bool(_audited(made)) for seed in seeds for made in clean(seed)]
    fragile = audit(scans(2, seeds[0]), scans(0, seeds[0]))
    return [
        Row("aigc", "shortcut_found", "share of planted", _mean(found), goal=1.0),
        Row("aigc", "clean_accused", "share of clean sets", _mean(accused), goal=0.0, higher_is_better=False),
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


def _audited(found: aigc.Pairs) -> shortcuts.Audit:
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


def _mean(values: list[Any]) -> float:
    return float(np.mean(values))


if __name__ == "__main__":
    json.dump([asdict(row) for row in rows("--quick" in sys.argv)], sys.stdout, indent=1)
