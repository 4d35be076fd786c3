from __future__ import annotations

import numpy as np

from sparring.text import canonical

from .base import GROW, Board, CanvasAttack
from .canvas import ALLOWED, State

GUIDED = 6  # times that the guide is asked before the target is, where the semantic surrogate is trusted
PATIENT = 5  # batches in which it promised nothing, one after the other, and after which the search is over
TRUSTED = 0.5  # trust from which the guide is asked first
SURE = 0.9  # trust from which the target is asked only about what should do by the guide's say
HOPE = 0.85  # of the log-odds needed: what the second batch without promise must come to there, and every later one
UNGUIDED = 9  # batches before the guide is asked where it is not: a text costs it more than a small target
SPARE = 0.005  # similarity that a guided sample keeps in hand


class Greedy(CanvasAttack):
    """Packs the changes that gain most for what they cost in similarity, and learns from each answer what they really gain.

    Each batch is packed by gains drawn from what is believed of them. With a guide, batches are drawn wider, and the target
    is asked about those alone that stay near the seed and promise most. Where the semantic surrogate is trusted that begins
    with the first batch, few are shown at a time, and the search ends when the guide finds nothing more; where the surrogate is
    all but certain, nothing is shown that promises too little, and the search ends sooner where that is far off. Where it is
    not trusted, the guide is left to the seeds that are hard.
    """

    @property
    def trust(self) -> float:
        """In the semantic surrogate, which needs the guide."""
        semantic = self.box.knowledge.semantic
        return semantic.trust if semantic and self.guide else 0.0

    def open(self, board: Board) -> list[State]:
        if self.trust < TRUSTED:
            return super().open(board)
        board.canvas.widen()
        return self.promising(board)

    def step(self, board: Board) -> list[State]:
        if self.trust >= TRUSTED:
            return self.promising(board)
        return self.guided(board) if self.guide and board.batches >= UNGUIDED else self.plan(board, self.width, noise=1.0)

    def promising(self, board: Board) -> list[State]:
        """The next batch, or where the guide is all but certain the next that would do by its say; none where for a while it
        saw none."""
        while board.poor < PATIENT:
            states = self.guided(board)
            if not board.poor or self.trust < SURE:
                return states
            if board.poor > 1 and board.most < HOPE * board.canvas.needed:
                break
            board.tried.update(states)
            board.allow(GROW)
        return []

    def guided(self, board: Board) -> list[State]:
        """Out of more states, those that stay near the seed and promise most by both surrogates."""
        assert self.guide
        canvas, semantic, trust = board.canvas, self.box.knowledge.semantic, self.trust
        shown = self.width if trust < TRUSTED else max(1, round((1 - trust) * self.width))
        canvas.limit = max(canvas.limit, ALLOWED * self.box.near)
        promise = board.promise if trust >= TRUSTED else dict[State, float]()
        nearest: tuple[float, list[State]] = (2.0, [])
        for turn in range(1 + round(trust * (GUIDED - 1))):
            if sum(gain >= canvas.needed for gain in promise.values()) >= shown:
                break
            climb = sorted(promise, key=lambda s: -promise[s])[: self.width]
            near = board.new([canvas.neighbour(s, board.rng) for s in climb for _ in range(2)], self.width)
            noise = 1.0 if turn or board.batches else 0.0
            states = near + self.plan(board, 2 * self.width - len(near), noise=noise)
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
        board.most = max(promise.values(), default=0.0)
        board.poor = 0 if board.most >= canvas.needed else board.poor + 1
        best = sorted(promise, key=lambda s: -promise[s])[:shown] or nearest[1]
        board.tried.difference_update(best)  # shown to the guide, not to the target yet
        board.promise = {s: promise[s] for s in sorted(promise, key=lambda s: -promise[s])[: 2 * self.width] if s not in best}
        return best
