"""Trains the tiny generator on images of the user's own: flow matching with label dropout, an average of the weights kept."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparring import vision
from sparring.errors import DataError, SparringError
from sparring.randomness import kept

from .tiny import Pipeline

DROPOUT = 0.1  # of labels: what classifier-free guidance needs to know the flow of no class


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`size` in pixels; `fold` and `widths` say how large the net is. A step learns from `batch` images."""

    size: int = 28
    channels: int = 1
    fold: int = 2
    widths: tuple[int, ...] = (48, 96)
    epochs: int = 5
    batch: int = 64
    lr: float = 2e-3
    average: float = 0.998  # of the weights, a step
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Trained:
    """The generator, and what its training came to: mean loss of each epoch, CPU seconds."""

    pipeline: Pipeline
    losses: tuple[float, ...]
    cpu_s: float


def train(
    images: Sequence[bytes],
    labels: Sequence[str],
    settings: Settings,
    *,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Trained:
    """Fits a new generator to encoded files and their labels; `progress` is told (epochs done, of how many).

    The same arguments give the same weights on one machine and number of threads. Raises `DataError` for a file that can't
    be read, fewer than 2 images, or as many labels as images are not there; `SparringError` where the loss is not finite.
    """
    import torch

    if len(images) != len(labels) or len(images) < 2:
        raise DataError(f"expected at least 2 images and a label for each; got {len(images)} and {len(labels)}")
    s, started = settings, time.process_time()
    names = sorted(set(labels))
    made = Pipeline.new(names, size=s.size, channels=s.channels, fold=s.fold, widths=s.widths, seed=s.seed)
    x = made.encode(vision.tensor(vision.pixels(images, size=s.size, channels=s.channels)))
    y = torch.tensor([names.index(label) for label in labels])
    net, mean = made.unet.train(), copy.deepcopy(made.unet).requires_grad_(False)
    optimiser = torch.optim.AdamW(net.parameters(), lr=s.lr, weight_decay=1e-4, betas=(0.9, 0.99))
    total = s.epochs * -(-len(x) // s.batch)
    warm = min(100, total // 5 + 1)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * step / total))
    )
    losses, step = [], 0
    with kept():
        torch.manual_seed(s.seed)
        generator = torch.Generator().manual_seed(s.seed)
        for epoch in range(s.epochs):
            order, summed = torch.randperm(len(x), generator=generator), 0.0
            for rows in order.split(s.batch):
                step += 1
                noise = torch.randn(x[rows].shape, generator=generator)
                # Middle times more often than the ends, as Stable Diffusion 3 does (Esser et al. 2024).
                sigma = torch.sigmoid(torch.randn(len(rows), generator=generator))
                known = torch.rand(len(rows), generator=generator) >= DROPOUT
                classes = torch.where(known, y[rows], len(names))
                mixed = torch.lerp(x[rows], noise, sigma[:, None, None, None])
                found = net(mixed, sigma * made.scheduler.config.num_train_timesteps, classes).sample
                loss = torch.nn.functional.mse_loss(found, noise - x[rows])
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()
                rate.step()
                keep = min(s.average, step / (step + 10))
                with torch.no_grad():
                    for held, new in zip(mean.parameters(), net.parameters(), strict=True):
                        held.lerp_(new, 1 - keep)
                summed += float(loss.detach()) * len(rows)
            losses.append(summed / len(x))
            if not math.isfinite(losses[-1]):
                raise SparringError(f"the loss is {losses[-1]} after epoch {epoch + 1}. Fix: a smaller learning rate")
            progress(epoch + 1, s.epochs)
    made.unet = mean.eval()
    made.about |= {"trained": {"images": len(x), "epochs": s.epochs, "batch": s.batch, "lr": s.lr, "seed": s.seed}}
    return Trained(made, tuple(losses), time.process_time() - started)
