"""What retraining on guided samples is worth beside what costs less: the same data, plain diffusion, corruption, FGSM."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from benchmarks.shared import Row
from redteam.images.pixel import pgd
from sparring.store import source_of

from .digits import SEEDS, Lab, Net, Recipe, accuracy, mean, weights_of
from .guided import CANDIDATES, SURE, WAYS, attack, labs

FINE = Recipe("cnn", 10, 2e-3, "moved and steered")
CODE = source_of(attack)  # of what is kept between runs
PLAYED = {False: 800, True: 20}  # candidates a round, in all ways together
SCRATCH = 24  # epochs
COMBINED = 40  # of those with all changes at once, which learn slower
ROUNDS = 3
COMPARED = (f"finetune_{ROUNDS}_rounds", "control_finetune", "scratch_combined", "control_combined")  # by all candidates
UNSTEERED = Recipe("cnn", 16, 2e-3, "moved")  # as the target was trained
PLAIN = ("plain",)  # no way at all: the sampler is left alone


def play(lab: Lab, n: int, ways: Sequence[str], recipe: Recipe = FINE) -> tuple[Net, Any, Any, list[dict[str, float]]]:
    """Rounds of self-play that fine-tune the same target on its own rows and all that was won, `n` candidates a round, as many
    in each of the ways; `PLAIN` is the control, plain diffusion data. The last net, what was won (images, digits), and the
    yield of each round. Without `ways` no row is added, and training alone is left."""
    x, y = lab.rows("target")
    won_x, won_y, net, told = [x[:0]], [y[:0]], lab.target, []
    for turn in range(ROUNDS):
        noise = 10**6 * (lab.seed + 1) + 10**5 * (turn + 1)
        each = [drawn(lab, net, way, n // len(ways), noise + 10**4 * i) for i, way in enumerate(ways)]
        won_x += [found["x"] for found in each]
        won_y += [found["y"] for found in each]
        net = lab.net(recipe, torch.cat([x, *won_x]), torch.cat([y, *won_y]), seed=turn, start=net)
        won = float(np.mean([found["yield"] for found in each])) if each else 0.0
        told.append({"yield": 100 * won, "rows_added": sum(len(found["y"]) for found in each)})
        sys.stderr.write(f"seed {lab.seed} round {turn + 1} of {' and '.join(ways) or 'training alone'}: {told[-1]}\n")
    return net, torch.cat(won_x), torch.cat(won_y), told


def drawn(lab: Lab, net: Net, way: str, n: int, noise: int) -> dict[str, Any]:
    """What is learned from of `n` candidates: those whose digit every guide is sure of, the filters among them; also what the
    net was right about: else it learns to doubt."""

    def make() -> dict[str, Any]:
        found = attack(lab, net, WAYS.get(way), n=n, noise=noise)
        rows = np.arange(len(found.y))
        sure = np.min([guide.of(found.x)[rows, found.y] for guide in lab.guides], axis=0) >= SURE
        kept = torch.from_numpy(sure.nonzero()[0])
        return {"x": found.x[kept], "y": found.y[kept], "yield": float(found.accepted.mean())}

    return lab.kept(make, "drawn", CODE, weights_of(net), WAYS.get(way), n, noise)


def standing(lab: Lab, net: Net, n: int, unseen: dict[str, tuple[Any, Any]]) -> dict[str, float]:
    """What a retrained net is worth: clean accuracy, a new attack on it of `n` candidates, and what no training saw
    (`unseen`: images drawn from test images)."""
    return lab.kept(lambda: _standing(lab, net, n, unseen), "standing", CODE, weights_of(net), n, WAYS)


def _standing(lab: Lab, net: Net, n: int, unseen: dict[str, tuple[Any, Any]]) -> dict[str, float]:
    x, y = lab.rows("test")
    noise = 10**6 * (lab.seed + 1) + 9 * 10**5
    again = attack(lab, net, WAYS["control_one_gradient"], n=n, noise=noise)
    half = len(x) // 2
    found = {
        "clean": accuracy(net, x, y), "reattack": float(again.accepted.mean()),
        "reattack_several": float(attack(lab, net, WAYS["guided"], n=min(n, 125), noise=noise).accepted.mean()),
        "reattack_valid": float((again.accepted & again.audited).mean()),
        "audit_validity": again.figures(net)["audit_validity"],
        "pgd": accuracy(net, pgd(net.module, x[:half], y[:half], 0.1, steps=10), y[:half]),
    }  # fmt: skip
    for name, change in CORRUPTIONS.items():
        found[name] = accuracy(net, change(x), y)
    for name, held in unseen.items():
        found[name] = accuracy(net, *held)
    return found


def held_out(lab: Lab, n: int) -> dict[str, tuple[Any, Any]]:
    """Images drawn from test images by SDEdit, steered against the first target and not; of digits that the filters see."""
    return lab.kept(lambda: _held_out(lab, n), "held out", CODE, weights_of(lab.target), n, WAYS)


def _held_out(lab: Lab, n: int) -> dict[str, tuple[Any, Any]]:
    rows = lab.rows("test")
    out = {}
    for name, way in (("sdedit", None), ("sdedit_guided", WAYS["control_one_gradient"])):
        found = attack(lab, lab.target, way, n=min(n, 300), noise=7 * 10**6, start=rows)
        kept = torch.from_numpy(found.sure.nonzero()[0])
        out[name] = found.x[kept], found.y[kept]
    return out


def _inverted(x: Any) -> Any:
    """A light grey frame, as of a scan."""
    out = x.clone()
    out[:, :, :2], out[:, :, -2:], out[:, :, :, :2], out[:, :, :, -2:] = 0.6, 0.6, 0.6, 0.6
    return out


def _salt(x: Any) -> Any:
    drawn = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    return torch.where(drawn < 0.03, 0.0, torch.where(drawn > 0.97, 1.0, x))


def _thin(x: Any) -> Any:
    return -torch.nn.functional.max_pool2d(-torch.nn.functional.pad(x, (0, 1, 0, 1)), 2, 1)


CORRUPTIONS: dict[str, Callable[[Any], Any]] = {  # of kinds that no augmentation here makes
    "framed": _inverted, "salt": _salt, "thinned": _thin,
}  # fmt: skip


def retrained(lab: Lab, n: int) -> dict[str, Any]:
    """Every way to retrain, with the same figures: fine-tuned over rounds, and from scratch."""
    x, y = lab.rows("target")
    played = PLAYED[lab.light]
    best, won_x, won_y, rounds = play(lab, played, ("guided", "control_one_gradient"))
    control, plain_x, plain_y, plain_rounds = play(lab, played, PLAIN, UNSTEERED)
    alone, *_ = play(lab, played, ())
    ours, plain = (torch.cat([x, won_x]), torch.cat([y, won_y])), (torch.cat([x, plain_x]), torch.cat([y, plain_y]))
    seed = 100 * lab.seed + 50
    arms: dict[str, tuple[tuple[Any, Any], str]] = {
        "control_same_data": ((x, y), "plain"), "control_diffusion": (plain, "plain"),
        "control_corruption": ((x, y), "corrupted"),
        "control_adversarial": ((x, y), "adversarial"), "control_combined": ((x, y), "all"), "scratch": (ours, "plain"),
        "scratch_combined": (ours, "all and steered"),
    }  # fmt: skip
    nets = {"finetune_0_rounds": lab.target, f"finetune_{ROUNDS}_rounds": best, "control_finetune": control}
    nets["control_finetune_steered"] = alone
    for name, (rows, kind) in arms.items():
        epochs = COMBINED if name in COMPARED else SCRATCH
        nets[name] = lab.net(Recipe("cnn", epochs, kind=kind), *rows, seed=seed)
        sys.stderr.write(f"seed {lab.seed} trained {name}\n")
    unseen = held_out(lab, n)
    found = {name: standing(lab, net, n if name in COMPARED else n // 2, unseen) for name, net in nets.items()}
    return {"arms": found, "rounds": rounds, "control_rounds": plain_rounds}


def measure(quick: bool) -> dict[str, Any]:
    """Net -> figures, the mean of the seeds, and each seed's with its rounds."""
    found = [retrained(lab, CANDIDATES[quick]) for lab in labs(quick)]
    arms = {name: mean([one["arms"][name] for one in found]) for name in found[0]["arms"]}
    played = {"candidates": PLAYED[quick], "recipe": asdict(FINE), "combined_epochs": COMBINED}
    return {"arms": arms, "played": played, "rounds": {str(seed): one for seed, one in zip(SEEDS, found, strict=False)}}


def rows(details: dict[str, Any]) -> list[Row]:
    arms = details["arms"]
    first, fine, control = (arms[name] for name in ("finetune_0_rounds", f"finetune_{ROUNDS}_rounds", "control_finetune"))
    best, rival = arms["scratch_combined"], arms["control_combined"]
    out = [
        Row("scratch_combined", "reattack", "share", best["reattack"], rival["reattack"], "without ours", 0.025, False),
        Row("scratch_combined", "clean", "accuracy", best["clean"], rival["clean"], "without ours", 0.983),
        Row("finetune_3_rounds", "reattack", "share", fine["reattack"], control["reattack"], "plain diffusion", 0.06, False),
        Row(
            "finetune_3_rounds", "clean_change", "accuracy", fine["clean"] - first["clean"], control["clean"] - first["clean"],
            "plain diffusion", 0.0,
        ),
    ]  # fmt: skip
    named = {(row.setting, row.metric) for row in out}
    for name, arm in arms.items():
        for metric in ("reattack", "reattack_valid", "clean"):
            if (name, metric) not in named and metric in arm:
                unit = "accuracy" if metric == "clean" else "share"
                out.append(Row(name, metric, unit, arm[metric], higher_is_better=metric == "clean"))
    return out
