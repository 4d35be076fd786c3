from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np


def select(hardness: np.ndarray, vectors: np.ndarray, kinds: Sequence[str], budget: int, *, near: float = 0.95) -> list[int]:
    """Up to `budget` rows, hardest first, each kind in turn, no two with cosine > `near` while others are left.

    `hardness` (n,) in [0, 1], higher is harder; `vectors` (n, d) unit; `kinds` names what a row stands for (its chain of
    operators): taking them in turn keeps one cheap trick from filling the budget.
    """
    queues: dict[str, list[int]] = {}
    for i in sorted(range(len(kinds)), key=lambda i: (-hardness[i], i)):
        queues.setdefault(kinds[i], []).append(i)
    order: list[int] = []
    while any(queues.values()):
        order += [queue.pop(0) for queue in queues.values() if queue]
    chosen: list[int] = []
    left_over: list[int] = []
    for i in order:
        if len(chosen) == budget:
            break
        twin = bool(chosen) and float((vectors[chosen] @ vectors[i]).max()) > near
        (left_over if twin else chosen).append(i)
    return chosen + left_over[: budget - len(chosen)]


def by_kind(kinds: Sequence[str], chosen: Sequence[int]) -> dict[str, int]:
    return dict(Counter(kinds[i] for i in chosen))
