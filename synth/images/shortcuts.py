"""Does a detector of generated images win by what it should not? Facts of the file, exact values, traces of an encoder."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparring import nets, vision
from sparring.errors import JobError

from .aigc import written

FEWEST = 40  # images; with fewer nothing can be said
GROUPS = 5
SURE = 3.09  # standard errors: a set without shortcuts is accused in one case of a hundred, by any of ten tests (Bonferroni)
CHANCE = 0.6  # a fact that tells more than this share apart, surely, is a shortcut
# More is asked of facts that follow what is shown as well: a generator that is smoother than a camera moves them a little.
TRACES = {"bytes": 0.85, "exact values": 0.75, "8 x 8 grid": 0.75}
FALL = 0.15  # of balanced accuracy, surely; a detector of content loses less when both sides are processed in a harmless way


@dataclass(frozen=True, slots=True)
class Audit:
    """`facts`: cross-validated accuracy of telling the sides apart by one fact of the file alone; 0.5 is chance.

    `detector`: balanced accuracy of a small network on pixels and their residuals; `processed` the same after both sides went
    through something harmless alike; `jpeg_reals` the share of real images that it knows as real once they come as JPEG at
    quality 75. `found`: the shortcuts, each with its evidence; empty where none was found.
    """

    facts: Mapping[str, float]
    detector: float
    processed: Mapping[str, float]
    jpeg_reals: float
    found: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.found)


def audit(
    images: Sequence[bytes], generated: Sequence[bool] | np.ndarray, groups: Sequence[str], *, size: int = 32, epochs: int = 12,
    seed: int = 0,
) -> Audit:  # fmt: skip
    """Of encoded files; `generated` says which are, `groups` which belong together, such as pairs: a group is learned from or
    tested on, not both. About 10 CPU seconds for a thousand images."""
    y = np.asarray(generated, bool)
    if not len(images) == len(y) == len(groups) or min(y.sum(), (~y).sum()) < FEWEST // 2 or len(set(groups)) < GROUPS:
        raise JobError(
            f"expected {FEWEST} images or more, half of them generated, in {GROUPS} groups or more; got {len(images)} images, "
            f"{int(y.sum())} generated, {len(set(groups))} groups"
        )
    folds = _folds(groups, seed)
    table = _facts(images)
    facts = {name: _told_apart(columns, y, folds) for name, columns in table.items()}
    found = {
        name: f"tells {share:.0%} apart by itself"
        for name, share in facts.items()
        if share - SURE * np.sqrt(share * (1 - share) / len(y)) > TRACES.get(name, CHANCE)
    }
    learnt, tested = folds > 1, folds <= 1
    pixels = vision.pixels(images, size=size, channels=3)
    module = nets.build("cnn", channels=3, size=size, labels=2, seed=seed)
    import torch

    nets.train(module, _residuals(pixels[learnt]), torch.from_numpy(y[learnt].astype(np.int64)), epochs=epochs, seed=seed)
    real, before = ~y[tested], _right(module, pixels[tested], y[tested])
    after = {
        name: _right(module, np.stack([change(p) for p in pixels[tested]]), y[tested]) for name, change in _HARMLESS.items()
    }
    detector = _balanced(before, real).share
    processed = {name: _balanced(now, real).share for name, now in after.items()}
    for name, now in after.items():
        fall = _balanced(before - now, real)
        if detector - SURE * _balanced(before, real).error > CHANCE and fall.share - SURE * fall.error > FALL:
            found[name] = f"a detector right in {detector:.0%} is right in {processed[name]:.0%} once both sides go through it"
    return Audit(facts, detector, processed, float(after["jpeg"][real].mean()), found)


def _folds(groups: Sequence[str], seed: int) -> np.ndarray:
    """(n,) one of five folds for each row, by group."""
    names = sorted(set(groups))
    of = dict(
        zip((names[i] for i in np.random.default_rng(seed).permutation(len(names))), np.arange(len(names)) % 5, strict=True)
    )
    return np.array([of[group] for group in groups])


def _told_apart(columns: np.ndarray, y: np.ndarray, folds: np.ndarray) -> float:
    """Accuracy of a shallow tree on some columns, on rows that it did not learn from."""
    from sklearn.tree import DecisionTreeClassifier

    right = 0.0
    for fold in range(5):
        tree = DecisionTreeClassifier(max_depth=3, min_samples_leaf=5, class_weight="balanced", random_state=0)
        tree.fit(columns[folds != fold], y[folds != fold])
        right += (tree.predict(columns[folds == fold]) == y[folds == fold]).sum()
    return float(right / len(y))


@dataclass(frozen=True, slots=True)
class _Share:
    share: float
    error: float  # standard


def _balanced(values: np.ndarray, real: np.ndarray) -> _Share:
    """The mean of both sides' means."""
    sides = values[real], values[~real]
    return _Share(
        float(sum(side.mean() for side in sides) / 2), float(np.sqrt(sum(side.var() / len(side) for side in sides)) / 2)
    )


def _right(module: Any, pixels: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n,) 1 where the network knows an image's side, else 0."""
    return ((nets.logits(module, _residuals(pixels)).argmax(1) == 1) == y).astype(float)


def _residuals(pixels: np.ndarray) -> Any:
    """(n, 3, h, w): grey values, and how far each is from its neighbours' mean, enlarged by 4 and by 16: detectors of generated
    images live on such residuals, which a plain network takes long to find."""
    import torch

    grey = vision.tensor(pixels).mean(1, keepdim=True)
    apart = grey - torch.nn.functional.avg_pool2d(grey, 3, 1, 1, count_include_pad=False)
    return torch.cat([grey, (0.5 + 4 * apart).clamp(0, 1), (0.5 + 16 * apart).clamp(0, 1)], 1)


def _facts(images: Sequence[bytes]) -> dict[str, np.ndarray]:
    """Name -> (n, columns) of what can be known of files without a look at what they show."""
    rows = [_of(image) for image in images]
    formats = sorted({row["format"] for row in rows})
    for row in rows:
        row["format"] = [float(formats.index(row["format"]))]
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]}


def _of(image: bytes) -> dict[str, Any]:
    from PIL import Image

    with Image.open(io.BytesIO(image)) as file:
        kind, mode, info = file.format or "", file.mode, len(file.info) + len(file.getexif())
        tables = getattr(file, "quantization", {})
        progressive = bool(file.info.get("progressive"))
    pixels = vision.decoded(image)
    height, width, channels = pixels.shape
    return {
        "format": f"{kind} {mode}",
        "size": [width, height, width / height],
        "metadata": [info],
        "encoder": [sum(map(sum, tables.values())), len(tables), progressive],
        "bytes": [len(image) / len(_again(pixels, kind))],
        "exact values": [(pixels == 0).mean(), (pixels == 255).mean(), len(np.unique(pixels)) / 256],
        "colour": [channels, float(channels == 1 or bool((pixels == pixels[:, :, :1]).all()))],
        "8 x 8 grid": [_grid(pixels.mean(2))],
    }


def _again(pixels: np.ndarray, kind: str) -> bytes:
    """The pixels in a file of a like codec: against its length, that of the file itself speaks of the encoder and of what else
    stands in it, not of how much there is to see."""
    return vision.png(pixels) if kind in ("PNG", "GIF", "BMP", "TIFF") else written(pixels, "jpeg", 75)


def _grid(grey: np.ndarray) -> float:
    """How much greater steps between neighbours are on the lines of JPEG's blocks than elsewhere."""
    if min(grey.shape) < 17:
        return 0.0
    ratios = []
    for steps in (np.abs(np.diff(grey, axis=0)).mean(1), np.abs(np.diff(grey, axis=1)).mean(0)):
        on = np.arange(len(steps)) % 8 == 7
        ratios.append((steps[on].mean() + 0.1) / (steps[~on].mean() + 0.1))
    return float(np.mean(ratios))


def _jpeg(pixels: np.ndarray) -> np.ndarray:
    return vision.decoded(written(pixels, "jpeg", 75))


def _dithered(pixels: np.ndarray) -> np.ndarray:
    """Every value moved by at most 3: nobody sees it, and no value is exact any more."""
    noise = np.random.default_rng(int(pixels.sum())).integers(-3, 4, pixels.shape)
    return np.abs(pixels.astype(np.int16) + noise).clip(0, 255).astype(np.uint8)


_HARMLESS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"jpeg": _jpeg, "dither": _dithered}
