from __future__ import annotations

from .base import Board, CanvasAttack
from .canvas import State

PARENTS = 6


class Evolution(CanvasAttack):
    """An evolutionary search with an archive: an elite for each set of operators; children are crossed and mutated elites
    (MAP-Elites within one seed, Mouret & Clune 2015)."""

    def step(self, board: Board) -> list[State]:
        canvas, rng = board.canvas, board.rng
        elites: dict[frozenset[str], State] = {}
        for state, gain in board.gains.items():
            niche = frozenset(canvas.changes[k].operator for k in state)
            if canvas.spent(state) <= canvas.limit and gain > board.gains.get(elites.get(niche, ()), 0.0):
                elites[niche] = state
        parents = sorted(elites.values(), key=lambda s: -board.gains[s])[:PARENTS]
        if not parents:
            return self.plan(board, self.width, noise=1.0)
        out = []
        for _ in range(6 * self.width):
            one, other = rng.choice(parents), rng.choice(parents)
            crossed = canvas.fitted([k for k in dict.fromkeys((*one, *other)) if k in one or rng.random() < 0.5])
            out.append(canvas.neighbour(crossed, rng))
        return out
