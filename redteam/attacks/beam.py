from __future__ import annotations

from .base import Board, CanvasAttack
from .canvas import State

BEAMS = 3


class Beam(CanvasAttack):
    """Beam search: the best states so far, each with one more change, those changes first that should gain most for their
    cost."""

    def step(self, board: Board) -> list[State]:
        canvas, beams = board.canvas, [*board.best(BEAMS), ()]
        children = [[child for child in canvas.children(beam) if child not in board.tried] for beam in beams]
        per_beam = -(-self.width // len(beams))
        return [child for options in children for child in options[: per_beam + 1]]
