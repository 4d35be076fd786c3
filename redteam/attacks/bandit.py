from __future__ import annotations

import math

from .base import Board, CanvasAttack
from .canvas import State

EXPLORE = 0.7  # of the spread of gains: what an operator that was hardly tried is favoured by


class Bandit(CanvasAttack):
    """A bandit over operators (UCB1, Auer et al. 2002): each pull adds one change of the chosen operator to a good state;
    the reward is what it gained over the state it was added to."""

    def step(self, board: Board) -> list[State]:
        canvas = board.canvas
        pulls: dict[str, list[float]] = {c.operator: [] for c in canvas.changes}
        for state, gain in board.gains.items():
            for operator in {canvas.changes[k].operator for k in state}:
                pulls[operator].append(gain / len(state))
        total = 1 + sum(map(len, pulls.values()))
        scale = max((abs(g) for gains in pulls.values() for g in gains), default=1.0)

        def bound(operator: str) -> float:
            gains = pulls[operator]
            if not gains:
                return math.inf
            return sum(gains) / len(gains) + EXPLORE * scale * math.sqrt(math.log(total) / len(gains))

        arms, out = sorted(pulls, key=bound, reverse=True), list[State]()
        for base in board.best(2):
            for arm in arms:
                children = (c for c in canvas.children(base, arm) if c not in board.tried and c not in out)
                out += [child for _, child in zip(range(2), children, strict=False)]
        return out
