"""Small changes of pixel values, bounded in the maximum norm: by gradient (FGSM, PGD), or by scores alone (Square).

Of the kept libraries foolbox has no Square and counts no rows, and torchattacks has its own idea of a model's range; these
three are short. A success here is counted on the file: after rounding to 8 bits, by the target's own decision.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sparring import vision
from sparring.errors import JobError
from sparring.nets import Augment
from sparring.protocols import Target, decided, probabilities, violation

Logits = Callable[[Any], Any]  # (n, c, h, w) in [0, 1] -> (n, k): a module in eval mode, or a target's `logits`
METHODS = ("fgsm", "pgd", "square")
# Share of the image that a square covers, halved at these shares of the budget: table of section 4 of the Square paper.
_HALVED = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
_FIRST = 0.8


def fgsm(module: Logits, x: Any, y: Any, epsilon: float, *, targeted: bool = False) -> Any:
    """(n, c, h, w) one step of `epsilon` up the cross-entropy of labels `y`, or down where these are `targeted`.

    Goodfellow et al. 2015, https://arxiv.org/abs/1412.6572. Costs one forward row a sample.
    """
    return (x + _way(module, x, y, targeted) * epsilon).clamp(0, 1)


def pgd(
    module: Logits, x: Any, y: Any, epsilon: float, *, steps: int = 20, step: float | None = None, targeted: bool = False,
    start: Any = None,
) -> Any:  # fmt: skip
    """(n, c, h, w): `steps` of the size `step`, by default 2.5 `epsilon` / `steps`, each brought back to within `epsilon` of
    `x`; from `start`, else from `x`. Madry et al. 2018, https://arxiv.org/abs/1706.06083. One forward row a step and sample."""
    size = 2.5 * epsilon / max(1, steps) if step is None else step
    lowest, highest = (x - epsilon).clamp(0, 1), (x + epsilon).clamp(0, 1)
    moved = x if start is None else start.clamp(lowest, highest)
    for _ in range(steps):
        moved = (moved + _way(module, moved, y, targeted) * size).clamp(lowest, highest)
    return moved.detach()


def adversarial(epsilon: float, *, share: float = 0.5) -> Augment:
    """An augment for `nets.train`: FGSM from a random start on a `share` of each batch.

    Wong et al. 2020, https://arxiv.org/abs/2001.03994, with their step of 1.25 `epsilon`.
    """

    def augment(module: Any, x: Any, y: Any, generator: Any) -> Any:
        import torch

        chosen = torch.rand(len(x), generator=generator) < share
        if not chosen.any():
            return x
        clean, wanted = x[chosen], y[chosen]
        noise = (torch.rand(clean.shape, generator=generator) * 2 - 1) * epsilon
        out = x.clone()
        out[chosen] = pgd(module, clean, wanted, epsilon, steps=1, step=1.25 * epsilon, start=clean + noise)
        return out

    return augment


def fgsm_files(target: Any, images: Sequence[bytes], labels: Sequence[str], *, epsilon: float) -> list[bytes]:
    """Encoded files, each moved by `fgsm` away from what `target` (with `logits`) says of its label; PNG, of its size."""
    import torch

    pixels = [vision.decoded(image) for image in images]
    out: dict[int, bytes] = {}
    for chunk in _alike(pixels, list(range(len(pixels)))):
        x = vision.tensor(np.stack([pixels[i] for i in chunk]))
        y = torch.tensor([target.labels.index(labels[i]) for i in chunk])
        out |= dict(zip(chunk, map(vision.png, vision.rounded(fgsm(target.logits, x, y, epsilon))), strict=True))
    return [out[i] for i in range(len(pixels))]


@dataclass(frozen=True, slots=True)
class Evasion:
    """What came of one image: the file that was scored last or best, a PNG; `missed` if the target missed it untouched."""

    image: bytes
    success: bool
    missed: bool
    score: float  # 1 - P(benign) of `image`
    queries: int  # rows that the target or its gradient was asked for


def evade(
    target: Target, images: Sequence[bytes], *, method: Literal["fgsm", "pgd", "square"] = "pgd", epsilon: float = 8 / 255,
    budget: int = 20, seed: int = 0,
) -> list[Evasion]:  # fmt: skip
    """Attacks violating images until the target decides `benign`: one outcome for each encoded file, in order.

    `epsilon` is cut to whole steps of 1/255, and holds for the file. `budget` counts every row, the clean check, gradients and
    the check of the rounded file. What comes of an image depends on it and the seed, not on the others. Raises `JobError` for
    a method that needs gradients which the target has not, or a budget that it cannot work with.
    """
    least = {"fgsm": 3, "pgd": 3, "square": 2}
    if method not in METHODS or budget < least[method]:
        raise JobError(
            f"expected a method out of {', '.join(METHODS)} with a budget of {least.get(method, 3)} or more; "
            f"got {method!r} with {budget}"
        )
    if method != "square" and not getattr(target, "gradients", False):
        raise JobError(f"{method}: expected a target with gradients, got {type(target).__name__}. Fix: method: square")
    steps = int(epsilon * 255 + 1e-6)
    pixels = [vision.decoded(image) for image in images]
    scores, benign = _asked(target, pixels)
    found = [_Best(p, float(s), bool(b)) for p, s, b in zip(pixels, scores, benign, strict=True)]
    alive = [i for i, best in enumerate(found) if not best.missed]
    if method == "square":
        _square(target, found, alive, pixels, steps, budget, seed)
    else:
        _climb(target, found, alive, pixels, steps, 1 if method == "fgsm" else budget - 2)
    return [Evasion(vision.png(b.pixels), b.benign and not b.missed, b.missed, b.score, b.queries) for b in found]


class _Best:
    """The best image so far of one sample, and what it has cost."""

    def __init__(self, pixels: np.ndarray, score: float, benign: bool):
        self.pixels, self.score, self.benign, self.missed, self.queries = pixels, score, benign, benign, 1


def _climb(target: Any, found: list[_Best], alive: list[int], pixels: list[np.ndarray], epsilon: int, steps: int) -> None:
    """Gradient steps towards benign, then the decision on the rounded image."""
    import torch

    for chunk in _alike(pixels, alive):
        x = vision.tensor(np.stack([pixels[i] for i in chunk]))
        benign = torch.zeros(len(chunk), dtype=torch.int64)
        moved = vision.rounded(pgd(target.logits, x, benign, epsilon / 255, steps=steps, targeted=True))
        scores, decisions = _asked(target, list(moved))
        for i, image, score, is_benign in zip(chunk, moved, scores, decisions, strict=True):
            best = found[i]
            best.queries += steps + 1
            best.pixels, best.score, best.benign = image, float(score), bool(is_benign)


def _square(
    target: Target, found: list[_Best], alive: list[int], pixels: list[np.ndarray], epsilon: int, budget: int, seed: int
) -> None:
    """Random squares of plus or minus `epsilon`, kept when the score falls: Andriushchenko et al. 2020,
    https://arxiv.org/abs/1912.00049, on whole values, so that every score is of what a file holds."""
    draws = {i: np.random.default_rng([seed, zlib.crc32(pixels[i].tobytes())]) for i in alive}
    deltas = {i: np.zeros(pixels[i].shape, np.int16) for i in alive}
    for turn in range(1, budget):
        alive = [i for i in alive if not found[i].benign]
        if not alive:
            return
        proposed = {}
        for i in alive:
            rng, delta = draws[i], deltas[i].copy()
            height, width, channels = pixels[i].shape
            if turn == 1:  # vertical stripes
                delta[:] = rng.choice((-epsilon, epsilon), (1, width, channels))
            else:
                share = _FIRST / 2 ** sum((turn - 1) / budget > mark for mark in _HALVED)
                side = max(1, round(np.sqrt(share * height * width)))
                tall, wide = min(side, height), min(side, width)
                top, left = rng.integers(height - tall + 1), rng.integers(width - wide + 1)
                delta[top : top + tall, left : left + wide] = rng.choice((-epsilon, epsilon), (1, 1, channels))
            proposed[i] = delta
        candidates = [(pixels[i] + proposed[i]).clip(0, 255).astype(np.uint8) for i in alive]
        scores, decisions = _asked(target, candidates)
        for i, image, score, is_benign in zip(alive, candidates, scores, decisions, strict=True):
            best = found[i]
            best.queries += 1
            if is_benign or score < best.score or turn == 1:
                deltas[i] = proposed[i]
                best.pixels, best.score, best.benign = image, float(score), bool(is_benign)


def _asked(target: Target, pixels: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) violation scores of these pixels as files, and whether each is decided benign."""
    p = probabilities(target, [vision.png(one) for one in pixels])
    return violation(p), decided(p, target.threshold) == 0


def _alike(pixels: list[np.ndarray], alive: list[int], most: int = 64) -> Iterator[list[int]]:
    """Positions of images of one shape, in batches."""
    shapes: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i in alive:
        shapes[pixels[i].shape].append(i)
    for group in shapes.values():
        yield from (group[start : start + most] for start in range(0, len(group), most))


def _way(module: Logits, x: Any, y: Any, targeted: bool) -> Any:
    """The sign of the gradient of the cross-entropy, downwards where `targeted`."""
    import torch

    leaf = x.detach().requires_grad_()
    loss = torch.nn.functional.cross_entropy(module(leaf), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, leaf)
    return -gradient.sign() if targeted else gradient.sign()
