"""Guided sampling against a classifier of digits: how much it finds, at what price, and what of it outlives a blur."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.shared import Row
from redteam.images.guided import Guided
from sparring import vision
from sparring.image_operators.digital import coded
from sparring.protocols import Brief

from .digits import LABELS, SEEDS, Lab, Net, accuracy, blurred, cpu, mean

CANDIDATES = {False: 500, True: 20}  # a figure and seed; quick
SURE = 0.9
MOVED = {"strength": 0.4, "judge_weight": 5.0, "skip": 2}
WAYS: dict[str, dict[str, Any]] = {
    "guided": MOVED | {"moves": 2, "sure": 0.97, "skip": 4, "unguided": 1},
    "semantic": MOVED | {"strength": 0.6, "moves": 2, "sure": 0.99, "clamp": 8.0, "unguided": 3},
    "control_one_gradient": MOVED | {"unguided": 1},
    "transfer": MOVED | {"strength": 0.7, "moves": 3, "sure": 0.97, "clamp": 8.0, "skip": 1, "unguided": 1},
}
MEASURED = ("guided", "semantic", "control_one_gradient", "control_diffusion")


@dataclass(frozen=True, slots=True)
class Attacked:
    """Candidates against one net: images as files hold them, digits, and who says what. `cpu_s` is of all of them."""

    x: Any
    y: Any
    fooled: np.ndarray
    sure: np.ndarray
    audited: np.ndarray
    cpu_s: float

    @property
    def accepted(self) -> np.ndarray:
        return self.fooled & self.sure

    def best(self, order: np.ndarray) -> Attacked:
        """Those at these positions; what drawing all of them cost."""
        rows = torch.from_numpy(order)
        return Attacked(self.x[rows], self.y[rows], self.fooled[order], self.sure[order], self.audited[order], self.cpu_s)

    def figures(self, net: Net) -> dict[str, float]:
        won = torch.from_numpy(self.accepted.nonzero()[0])
        x, y = self.x[won], self.y[won].numpy()
        n = len(won)
        found = {
            "candidates": len(self.y), "yield": 100 * n / len(self.y), "fooled": 100 * float(self.fooled.mean()),
            "valid": 100 * float(self.sure.mean()), "audit_validity": float(self.audited[won].mean()) if n else 0.0,
            "cpu_s_accepted": self.cpu_s / max(1, n), "cpu_s_candidate": self.cpu_s / len(self.y),
        }  # fmt: skip
        for name, change in LAUNDERED.items():
            still = net.of(change(x)).argmax(1) != y if n else np.zeros(0)
            found[f"{name}_survival"] = float(still.mean()) if n else 0.0
        return found


def _jpeg(x: Any) -> Any:
    return vision.tensor(np.stack([coded(image, "JPEG", quality=75) for image in vision.rounded(x)]))


def _noisy(x: Any) -> Any:
    return (x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


LAUNDERED: dict[str, Callable[[Any], Any]] = {"blur": lambda x: blurred(x, 0.6), "noise": _noisy, "jpeg": _jpeg}


def attack(
    lab: Lab, net: Net, way: dict[str, Any] | None, *, n: int, noise: int, targets: Sequence[Net] = (),
    judges: Sequence[Net] = (), start: Any = None,
) -> Attacked:  # fmt: skip
    """`n` candidates, the digits in turn, from noise numbered `noise` on; `way` None leaves the sampler alone. It steers by
    `targets`, else by the net itself, and by `judges`, else by the filters. `start` are (images, digits) to draw from by
    SDEdit."""
    briefs = [Brief(LABELS[i % 10], noise + i) for i in range(n)]
    if start:
        files = [vision.png(image) for image in vision.rounded(start[0][:n])]
        rows = list(zip(files, start[1], strict=False))
        briefs = [Brief(str(int(digit)), noise + i, start=file, strength=0.6) for i, (file, digit) in enumerate(rows)]
    guided = Guided(targets=targets or [net], judges=judges or lab.filters, **way) if way else None

    def work() -> tuple[Any, ...]:
        drawn = lab.generator.draw(briefs, wrap=guided.wrap if guided else None)
        x = vision.tensor(vision.pixels([d.image for d in drawn if d.image], size=28, channels=1))
        y = torch.tensor([int(b.label) for b in briefs])
        rows = np.arange(len(y))
        sure = np.min([judge.of(x)[rows, y] for judge in lab.filters], axis=0) >= SURE
        return x, y, net.of(x).argmax(1) != y.numpy(), sure

    lab.generator.draw(briefs[:1])  # loaded before the clock runs
    (x, y, fooled, sure), spent = cpu(work)
    return Attacked(x, y, fooled, sure, lab.audit.of(x).argmax(1) == y.numpy(), spent)


def measure(quick: bool) -> dict[str, Any]:
    """The ways to attack the first target, and what the same sampler finds when left alone: setting -> figures."""
    seeds = labs(quick)
    found = [{name: attacked(lab, WAYS.get(name), CANDIDATES[quick]) for name in MEASURED} for lab in seeds]
    about = {"nets": mean([_nets(lab) for lab in seeds]), "generator": _generator(seeds[0]), "ways": WAYS}
    return folded(found) | about


def labs(quick: bool) -> list[Lab]:
    return [Lab(seed, light=quick) for seed in SEEDS[: 1 if quick else None]]


def folded(found: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """The mean of the seeds, and each seed's."""
    settings = {name: mean([one[name] for one in found]) for name in found[0]}
    return {"settings": settings, "seeds": dict(zip(map(str, SEEDS), found, strict=False))}


def attacked(lab: Lab, way: dict[str, Any] | None, n: int) -> dict[str, float]:
    return attack(lab, lab.target, way, n=n, noise=10**6 * (lab.seed + 1)).figures(lab.target)


def _nets(lab: Lab) -> dict[str, float]:
    """Accuracy of the nets of each role on the test images."""
    x, y = lab.rows("test")
    named = {"target": lab.target, "filter_0": lab.filters[0], "filter_1": lab.filters[1], "audit": lab.audit}
    return {name: accuracy(net, x, y) for name, net in named.items()}


def _generator(lab: Lab) -> dict[str, Any]:
    made = lab.generator.pipeline
    size = sum(weights.numel() for weights in made.unet.parameters())
    return {"parameters": size, "training_cpu_s": made.about["cpu_s"], "steps": lab.generator.steps} | made.about["trained"]


def rows(details: dict[str, Any]) -> list[Row]:
    found = details["settings"]
    plain = found["control_diffusion"]

    def row(
        setting: str, metric: str, unit: str, goal: float | None, peer: dict[str, float], name: str, up: bool = True
    ) -> Row:
        return Row(setting, metric, unit, found[setting][metric], peer[metric], name, goal, up)

    unguided = (plain, "unguided sampling")
    out = [
        row("guided", "yield", "of 100 candidates", 65, *unguided),
        row("guided", "audit_validity", "share of accepted", 0.93, *unguided),
        row("guided", "cpu_s_accepted", "CPU s", 0.05, *unguided, False),
        row("semantic", "yield", "of 100 candidates", 30, *unguided),
        row("semantic", "blur_survival", "share of accepted", 0.75, *unguided),
    ]
    return out + others(found, out)


def others(found: dict[str, dict[str, float]], told: list[Row]) -> list[Row]:
    """The figures of every setting that have no goal, so that each has the same ones."""
    metrics = {"yield": "of 100 candidates", "audit_validity": "share of accepted", "cpu_s_accepted": "CPU s",
               "blur_survival": "share of accepted"}  # fmt: skip
    named = {(row.setting, row.metric) for row in told}
    return [
        Row(setting, metric, unit, found[setting][metric], higher_is_better=metric != "cpu_s_accepted")
        for setting in found
        for metric, unit in metrics.items()
        if (setting, metric) not in named
    ]
