"""The same target as a black box: guided by surrogates of other architectures, it is asked for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from benchmarks.shared import Row
from redteam.images.guided import margin
from sparring import nets

from .digits import SURROGATES, Lab, Net
from .guided import CANDIDATES, WAYS, Attacked, attack, folded, labs, others


def measure(quick: bool) -> dict[str, Any]:
    """Setting -> figures; and the nets that steered."""
    found = [shots(lab, CANDIDATES[quick]) for lab in labs(quick)]
    return folded(found) | {"way": WAYS["transfer"], "surrogates": [asdict(recipe) for recipe in SURROGATES]}


def shots(lab: Lab, n: int) -> dict[str, dict[str, float]]:
    """By all surrogates; the better half of these candidates, chosen without the target; by one surrogate."""

    def shot(targets: Sequence[Net], count: int) -> Attacked:
        noise = 10**6 * (lab.seed + 1)
        return attack(lab, lab.target, WAYS["transfer"], n=count, noise=noise, targets=targets, judges=lab.guides)

    whole = shot(lab.surrogates, n)
    told = {
        "transfer": whole, "transfer_better_half": whole.best(preferred(whole, lab.surrogates)[: n // 2]),
        "control_transfer_one": shot(lab.surrogates[:1], n // 2),
    }  # fmt: skip
    return {name: found.figures(lab.target) for name, found in told.items()}


def preferred(found: Attacked, surrogates: Sequence[Net]) -> np.ndarray:
    """(n,) positions: what both filters are sure of first, what the surrogates miss furthest, in the mean, before the rest."""
    missed = [margin(torch.from_numpy(nets.logits(net.module, found.x)), found.y, "away", net.threshold) for net in surrogates]
    return np.lexsort((-torch.stack(missed).mean(0).numpy(), ~found.sure))


def rows(details: dict[str, Any]) -> list[Row]:
    found = details["settings"]
    ours, one = (found[name]["yield"] for name in ("transfer", "control_transfer_one"))
    out = [Row("transfer", "yield", "of 100 candidates", ours, one, "one surrogate", 45)]
    return out + others(found, out)
