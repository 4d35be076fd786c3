"""What strategies over a canvas share: they choose which changes to try next, and the rest is done here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sparring.operators.base import Operator
from sparring.protocols import Embedder
from sparring.text import canonical

from ..engine import NOT_JUDGED, Attack, Search, Seed, Told
from ..knowledge import Knowledge
from .canvas import Canvas, State, Toolbox

LADDER = (0.8, 1.0, 1.25, 1.6, 2.0, 3.0)  # of the log-odds needed: from a light sample to a heavy one
SHRINK = 0.9  # of a refused sample's cost: what the next may cost
GROW = 1.3  # of the cost allowed, after a batch that the judge refused nothing of
WIDEST = 0.6  # similarity that may be lost when no judge objects


@dataclass(slots=True)
class Board:
    """One seed's search so far: `gains` holds the log-odds that each scored state really took away."""

    canvas: Canvas
    rng: Random
    gains: dict[State, float] = field(default_factory=dict)
    tried: set[State] = field(default_factory=lambda: {()})
    ceiling: float = WIDEST
    batches: int = 0
    promise: dict[State, float] = field(default_factory=dict)  # what a guide saw of states that were not shown yet
    most: float = 0.0  # log-odds that it promised of the last batch
    poor: int = 0  # batches in a row of which it promised too little

    def new(self, states: list[State], most: int) -> list[State]:
        """The first `most` of those that were not tried, each once."""
        return [s for s in dict.fromkeys(states) if s not in self.tried][:most]

    def allow(self, factor: float) -> None:
        """Changes what the next may cost, up to the ceiling."""
        self.canvas.limit = min(self.ceiling, factor * self.canvas.limit)

    def best(self, n: int) -> list[State]:
        """The `n` scored states within the cost allowed that took most; the bare seed where there is none."""
        within = [s for s in self.gains if self.canvas.spent(s) <= self.canvas.limit] or [()]
        return sorted(within, key=lambda s: -self.gains.get(s, 0.0))[:n]


class CanvasAttack(Attack):
    """Searches over the changes of a canvas. Authors write `step`.

    The first batch is a ladder from light to heavy by the surrogate's guess. A hit that the judge refuses lowers what the
    next may cost; a batch without one raises it. What a normaliser undoes is shown once and never searched over. `near` is
    the similarity to the seed that the judge lets go.
    """

    def __init__(
        self, operators: Mapping[str, Operator], knowledge: Knowledge, *, width: int = 6, longer: float = 1.5,
        near: float = 0.2, guide: Embedder | None = None,
    ):  # fmt: skip
        self.box = Toolbox(operators, knowledge, longer=longer, near=near)
        self.width, self.guide = width, guide

    def __repr__(self) -> str:
        settings = f"width={self.width}, near={self.box.near:.4g}, guided={self.guide is not None}"
        return f"{type(self).__name__}({self.box!r}, {settings})"

    @property
    def code(self) -> tuple[Any, ...]:
        """The classes whose source decides what it proposes, for the key of a unit of work."""
        return (type(self), CanvasAttack, Canvas)

    @abstractmethod
    def step(self, board: Board) -> list[State]:
        """States to try next, the most preferred first; those that were tried are left out, and none ends the search."""

    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> Search:
        canvas = Canvas(self.box, seed.text, score, threshold, rng)
        board = Board(canvas, rng)
        states = self.open(board)
        shot = bool(self.box.undone)  # a seed that falls to the first batch is known to be exposed
        if not states and shot:
            yield [canvas.one_shot()]
        while states:
            board.tried.update(states)
            batch = [canvas.render(state) for state in states]
            if board.batches == 1 and shot:
                batch.append(canvas.one_shot())
            self.hear(board, states, (yield batch))
            states = board.new(self.step(board), self.width)
            if not states and shot and board.batches == 1:
                yield [canvas.one_shot()]

    def open(self, board: Board) -> list[State]:
        """The first states: a ladder from light to heavy by the surrogate's guess."""
        return self.plan(board, self.width, noise=0.0)

    def hear(self, board: Board, states: list[State], told: list[Told]) -> None:
        canvas, refused = board.canvas, False
        for state, answer in zip(states, told, strict=False):  # the one shot is told of behind them
            if answer.score is not None:
                board.gains[state] = canvas.learn(state, answer.score)
            if answer.hit and answer.reason != NOT_JUDGED:
                refused = True
                self.weigh(board, state, answer)
                board.ceiling = min(board.ceiling, SHRINK * canvas.spent(state))
        board.allow(1.0 if refused else GROW)
        if board.batches == 0:
            canvas.widen()
        board.batches += 1

    def weigh(self, board: Board, state: State, answer: Told) -> None:
        """Corrects by the guide what the changes of a refused hit cost; a judge that shares the guide's cache has seen both."""
        if self.guide:
            seed, vector = self.guide.encode([canonical(board.canvas.text), canonical(answer.candidate.text)])
            board.canvas.weigh(state, 1 - float(seed @ vector))

    def plan(self, board: Board, width: int, *, noise: float) -> list[State]:
        """`width` new states packed by believed gain for cost, the lightest first; `noise` draws the gains (Thompson)."""
        canvas, out = board.canvas, dict[State, None]()
        rungs = [rung * canvas.needed for rung in LADDER]
        if not noise:
            out |= dict.fromkeys(s for s in canvas.pack(canvas.gain, needs=rungs, limit=canvas.limit) if s not in board.tried)
        for attempt in range(0 if noise else len(LADDER), 4 * width):
            if len(out) >= width:
                break
            gain = canvas.noisy((noise or 0.5) * (1 + attempt // width))
            (state,) = canvas.pack(gain, needs=rungs[attempt % len(LADDER) :][:1], limit=canvas.limit)
            if state not in board.tried:
                out[state] = None
        return sorted(list(out)[:width], key=canvas.spent)
