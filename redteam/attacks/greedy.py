from __future__ import annotations

import numpy as np

from sparring.text import canonical

from .base import Board, CanvasAttack
from .canvas import ALLOWED, State

GUIDED = 6  # times that the guide is asked before the target is, where the semantic surrogate is trusted
SPARE = 0.005  # similarity that a guided sample keeps in hand


class Greedy(CanvasAttack):
    """Packs the changes that gain most for what they cost in similarity, and learns from each answer what they really gain.

    Each batch is packed by gains drawn from what is believed of them. With a guide, batches are drawn wider, and the target
    is asked about those alone that stay near the seed and promise most.
    """

    def step(self, board: Board) -> list[State]:
        return self.guided(board) if self.guide else self.plan(board, self.width, noise=1.0)

    def guided(self, board: Board) -> list[State]:
        """Out of more states, those that stay near the seed and promise most by both surrogates."""
        assert self.guide
        canvas, semantic = board.canvas, self.box.knowledge.semantic
        trust = semantic.trust if semantic else 0.0
        canvas.limit = max(canvas.limit, ALLOWED * self.box.near)
        promise: dict[State, float] = {}
        nearest: tuple[float, list[State]] = (2.0, [])
        for _ in range(1 + round(trust * (GUIDED - 1))):
            climb = sorted(promise, key=lambda s: -promise[s])[: self.width]
            near = board.new([canvas.neighbour(s, board.rng) for s in climb for _ in range(2)], self.width)
            states = near + self.plan(board, 2 * self.width - len(near), noise=1.0)
            if not states:
                break
            board.tried.update(states)
            vectors = self.guide.encode([canonical(t) for t in (canvas.text, *(canvas.render(s).text for s in states))])
            lost = 1 - vectors[1:] @ vectors[0]
            odds = semantic.of(vectors) if semantic else np.zeros(len(vectors))
            for state, cost, gain in zip(states, lost.tolist(), (odds[0] - odds[1:]).tolist(), strict=True):
                canvas.weigh(state, cost)
                canvas.believe(state, gain, 0.5 * trust)
                if cost <= self.box.near - SPARE:
                    promise[state] = trust * gain + (1 - trust) * canvas.gained(state)
                nearest = min(nearest, (cost, [state]))
            if sum(gain >= canvas.needed for gain in promise.values()) >= self.width:
                break
        best = sorted(promise, key=lambda s: -promise[s])[: self.width] or nearest[1]
        board.tried.difference_update(best)  # shown to the guide, not to the target yet
        return best
