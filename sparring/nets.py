"""Small image classifiers that train in seconds on one core, of six architectures that fail apart: a target, its surrogates
and its judges must not be one model. Inputs are (n, c, h, w) float32 in [0, 1], outputs (n, k) logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import JobError
from .randomness import kept

ARCHITECTURES = ("cnn", "residual", "patches", "mlp", "lenet", "strided")
BATCH = 64  # images a step; of few rows a sixteenth, at least 8, so that few rows still make many steps

Augment = Callable[[Any, Any, Any, Any], Any]  # (module, x, y, torch.Generator) -> x


def build(architecture: str, *, channels: int, size: int, labels: int, seed: int) -> Any:
    """A `torch.nn.Module` with new weights; `size` is the side of its square inputs in pixels."""
    import torch
    from torch import nn

    if architecture not in ARCHITECTURES:
        raise JobError(f"expected an architecture out of {', '.join(ARCHITECTURES)}; got {architecture!r}")
    with kept():
        torch.manual_seed(seed)
        if architecture == "cnn":
            return nn.Sequential(
                nn.Conv2d(channels, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(24, 48, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(48, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4),
                nn.Flatten(), nn.Dropout(0.2), nn.Linear(1024, labels),
            )  # fmt: skip
        if architecture == "residual":
            return nn.Sequential(
                nn.Conv2d(channels, 32, 5, stride=2, padding=2), nn.GroupNorm(4, 32), nn.SiLU(), _residual(32),
                nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.GroupNorm(8, 64), nn.SiLU(), _residual(64),
                nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(576, labels),
            )  # fmt: skip
        if architecture == "patches":
            side = max(1, size // 7)
            return nn.Sequential(
                nn.Conv2d(channels, 64, side, stride=side), nn.GELU(), _mixer(64), _mixer(64),
                nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(1024, labels),
            )  # fmt: skip
        if architecture == "lenet":  # means and saturation, where `cnn` has maxima: LeCun et al. 1998
            return nn.Sequential(
                nn.Conv2d(channels, 16, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
                nn.Conv2d(16, 32, 5, padding=2), nn.Tanh(), nn.AdaptiveAvgPool2d(5),
                nn.Flatten(), nn.Linear(800, 100), nn.Tanh(), nn.Linear(100, labels),
            )  # fmt: skip
        if architecture == "strided":  # no pooling: Springenberg et al. 2015
            return nn.Sequential(
                nn.Conv2d(channels, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
                nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
                nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
                nn.Conv2d(64, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
                nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(1024, labels),
            )  # fmt: skip
        return nn.Sequential(
            nn.Flatten(), nn.Linear(channels * size * size, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 128), nn.ReLU(),
            nn.Linear(128, labels),
        )  # fmt: skip


def train(
    module: Any, x: Any, y: Any, *, epochs: int, seed: int, lr: float = 5e-3, augment: Augment | None = None
) -> Any:  # fmt: skip
    """Fits `module` in place to (n, c, h, w) images and (n,) int64 labels, by AdamW, one-cycle rate; returns it in eval mode.

    `augment(module, x, y, generator)` changes each batch before it is learned from. The same arguments give the same weights
    on one machine and number of threads.
    """
    import torch

    size = max(8, min(BATCH, len(x) // 16))
    steps = epochs * -(-len(x) // size)
    optimiser = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=max(2, steps + 1))
    with kept():
        torch.manual_seed(seed)  # dropout draws from the global state
        generator = torch.Generator().manual_seed(seed)
        for _ in range(epochs):
            order = torch.randperm(len(x), generator=generator)
            for start in range(0, len(x), size):
                chunk = order[start : start + size]
                batch, wanted = x[chunk], y[chunk]
                if augment:
                    module.eval()
                    batch = augment(module, batch, wanted, generator)
                module.train()
                optimiser.zero_grad(set_to_none=True)
                torch.nn.functional.cross_entropy(module(batch), wanted).backward()
                optimiser.step()
                schedule.step()
    return module.eval()


def shifted(module: Any, x: Any, y: Any, generator: Any) -> Any:
    """An `augment`: each image turned by up to 12 degrees, scaled by up to a tenth, moved by up to a tenth of its side."""
    import torch

    n = len(x)
    turn, scale, right, down = (torch.rand(4, n, generator=generator) * 2 - 1).unbind()
    return moved(x, turn * 0.21, 1 + scale * 0.1, right * 0.2, down * 0.2)


def moved(x: Any, angle: Any, factor: Any, right: Any, down: Any) -> Any:
    """(n, c, h, w) images, each turned by its `angle` (radians), scaled by 1 / `factor`, moved by half a side times `right` and
    `down`; each of the four is (n,)."""
    import torch

    cos, sin = torch.cos(angle) * factor, torch.sin(angle) * factor
    theta = torch.stack([torch.stack([cos, -sin, right], 1), torch.stack([sin, cos, down], 1)], 1)
    grid = torch.nn.functional.affine_grid(theta, list(x.shape), align_corners=False)
    return torch.nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def logits(module: Any, x: Any, *, batch: int = 512) -> np.ndarray:
    """(n, k) float32 of a (n, c, h, w) tensor, without gradients."""
    import torch

    with torch.inference_mode():
        found = [module(x[i : i + batch]).float() for i in range(0, len(x), batch)]
    return torch.cat(found).numpy() if found else np.zeros((0, 0), np.float32)


def _residual(width: int) -> Any:
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)
            )

        def forward(self, x: Any) -> Any:
            return nn.functional.silu(x + self.body(x))

    return Residual()


def _mixer(width: int) -> Any:
    from torch import nn

    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.depth = nn.Sequential(nn.Conv2d(width, width, 5, padding=2, groups=width), nn.GELU(), nn.GroupNorm(1, width))
            self.point = nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.GELU(), nn.Conv2d(2 * width, width, 1))

        def forward(self, x: Any) -> Any:
            x = x + self.depth(x)
            return x + self.point(x)

    return Mixer()
