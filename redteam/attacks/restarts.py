from __future__ import annotations

from .base import Board, CanvasAttack
from .canvas import State

STALE = 2  # batches without a gain, after which it starts anew


class RandomRestarts(CanvasAttack):
    """Hill climbing from random states: the best of a climb with one change put in, taken out or swapped; a climb that
    stalls starts anew elsewhere."""

    def step(self, board: Board) -> list[State]:
        recent = list(board.gains)[-STALE * self.width :]
        top = board.best(1)[0]
        if board.batches > STALE and top not in recent:
            return [board.canvas.random(board.rng) for _ in range(4 * self.width)]
        return [board.canvas.neighbour(top, board.rng) for _ in range(4 * self.width)]
