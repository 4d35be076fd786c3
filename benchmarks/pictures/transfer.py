"""The same target as a black box: guided by surrogates of other weights, it is asked for nothing."""

from __future__ import annotations

from typing import Any

from benchmarks.shared import Row

from .guided import CANDIDATES, WAYS, attacked, folded, labs, others


def measure(quick: bool) -> dict[str, Any]:
    """Guided by three surrogates, and by one: setting -> figures."""
    ways = {"transfer": 3, "control_transfer_one": 1}
    found = [
        {name: attacked(lab, WAYS["transfer"], CANDIDATES[quick], lab.surrogates[:count]) for name, count in ways.items()}
        for lab in labs(quick)
    ]
    return folded(found) | {"way": WAYS["transfer"]}


def rows(details: dict[str, Any]) -> list[Row]:
    found = details["settings"]
    ours, one = (found[name]["yield"] for name in ("transfer", "control_transfer_one"))
    out = [Row("transfer", "yield", "of 100 candidates", ours, one, "one surrogate", 45)]
    return out + others(found, out)
