from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from sparring.results import Niche


def select(
    hardness: np.ndarray, vectors: np.ndarray, niches: Sequence[Niche], kinds: Sequence[str], budget: int, *, near: float = 0.95
) -> list[int]:
    """Up to `budget` rows, each cell of the archive in turn, in a cell each kind in turn, of a kind the hardest first; no two
    with cosine > `near` while others are left.

    `hardness` (n,) in [0, 1], higher is harder; `vectors` (n, d) unit; `kinds` names a row's chain of operators: taking turns
    keeps one cheap trick from filling the budget. In each turn the cells that no earlier round had filled come first.
    """
    order = in_turn(sorted(range(len(kinds)), key=lambda i: (-hardness[i], i)), kinds)
    order = in_turn(sorted(order, key=lambda i: niches[i].covered), [niche.cell for niche in niches])
    chosen: list[int] = []
    left_over: list[int] = []
    for i in order:
        if len(chosen) == budget:
            break
        twin = bool(chosen) and float((vectors[chosen] @ vectors[i]).max()) > near
        (left_over if twin else chosen).append(i)
    return chosen + left_over[: budget - len(chosen)]


def in_turn(order: Sequence[int], names: Sequence[str]) -> list[int]:
    """`order`, dealt so that each name has its turn; a name's rows keep their order, names theirs of first appearance."""
    queues: dict[str, list[int]] = {}
    for i in order:
        queues.setdefault(names[i], []).append(i)
    return [i for turn in zip_longest(*queues.values()) for i in turn if i is not None]
