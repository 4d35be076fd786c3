from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from sparring.errors import JobError
from sparring.protocols import Brief, Drawn, Target, WhiteBoxImages
from sparring.record import Step

from ..engine import Ask, Attack, Candidate, Search, Seed
from . import guided

LOST = 4  # drawings of a seed without an image, after which its search is over
LADDER = (0.5, 0.65, 0.8)  # noise put on the seed, from near to far


@dataclass(frozen=True, eq=False)
class Draw(Ask):
    """A drawing steered by the target's gradient."""

    attack: GuidedDiffusion
    brief: Brief

    @property
    def queries(self) -> int:
        return self.attack.gradients_of(self.brief)

    @classmethod
    def answer(cls, asked: Sequence[Draw], target: Target) -> list[Drawn]:
        white: Any = target
        one = asked[0].attack
        if not one.surrogates and not hasattr(white, "logits"):
            raise JobError("attack 'guided' needs a target that gives gradients, such as `net`, or `surrogates`")
        return one.image_model.draw([a.brief for a in asked], wrap=one.guidance(one.surrogates or [white]).wrap)


class GuidedDiffusion(Attack):
    """Draws the seed anew from some noise (SDEdit), each step moved along the gradient of the target's decision for benign and
    of what the `guides` see, so that the label stays. White-box; each gradient counts as a query (rows that the generator
    repeats to fill a small batch up tell nothing and don't count).

    With `surrogates` the gradients are theirs, their mean, and the target is asked for scores alone: it may be a black box, and
    a drawing costs no query of it.

    `strengths` are tried in turn, `strength` is the size of a move (see `redteam.images.guided.Guided`), the last `unguided`
    steps are left to the generator: what is written there is pixel noise, which an upload loses. `moves` gradients are taken a
    step, and a sample is left alone that has passed while every guide sees its label by `sure`.
    """

    gradients: ClassVar[bool] = True
    makes: ClassVar[Mapping[str, str]] = {"guided": "diffusion"}

    def __init__(
        self, *, image_model: Any, guides: Sequence[WhiteBoxImages] = (), surrogates: Sequence[WhiteBoxImages] = (),
        strengths: Sequence[float] = LADDER, strength: float = 0.1, judge_weight: float = 1.0, clamp: float = 3.0,
        skip: int = 0, unguided: int = 2, every: int = 1, moves: int = 1, sure: float = 1.0,
    ):  # fmt: skip
        if not getattr(image_model, "guidable", False):
            raise JobError(f"attack 'guided': expected a generator that can be guided, such as `tiny`; got {image_model!r}")
        if not strengths or not all(0 < s <= 1 for s in strengths):
            raise JobError(f"attack 'guided': expected strengths in (0, 1], got {list(strengths)}")
        if skip < 0 or unguided < 0 or every < 1 or moves < 1 or not 0 < sure <= 1:
            raise JobError(
                "attack 'guided': expected skip and unguided >= 0, every and moves >= 1 and sure in (0, 1]; got "
                f"{skip}, {unguided}, {every}, {moves} and {sure}"
            )
        self.image_model, self.guides, self.strengths = image_model, tuple(guides), tuple(strengths)
        self.surrogates = tuple(surrogates)
        self.strength, self.judge_weight, self.clamp = strength, judge_weight, clamp
        self.skip, self.unguided, self.every, self.moves, self.sure = skip, unguided, every, moves, sure

    def __repr__(self) -> str:
        shown = (
            "guides",
            "surrogates",
            "strengths",
            "strength",
            "judge_weight",
            "clamp",
            "skip",
            "unguided",
            "every",
            "moves",
            "sure",
        )
        return f"GuidedDiffusion({self.image_model!r}, {', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    @property
    def code(self) -> tuple[type, ...]:
        """The classes whose source decides what it proposes, for the key of a unit of work."""
        return (type(self), guided.Guided, type(self.image_model))

    def guidance(self, targets: Sequence[WhiteBoxImages]) -> guided.Guided:
        return guided.Guided(
            targets=targets, judges=self.guides, strength=self.strength, judge_weight=self.judge_weight, clamp=self.clamp,
            margin="benign", skip=self.skip, unguided=self.unguided, every=self.every, moves=self.moves, sure=self.sure,
        )  # fmt: skip

    def gradients_of(self, brief: Brief) -> int:
        """Of the target, at most: `moves` for each step that is guided by it, of those that a drawing of this noise has."""
        if self.surrogates:
            return 0
        steps = self.image_model.steps
        left = steps - min(steps - 1, round(steps * (1 - brief.strength))) - self.skip - self.unguided
        return self.moves * max(0, -(-left // self.every))

    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> Search:
        lost = 0
        for noise in itertools.cycle(self.strengths):
            brief = Brief(seed.label, rng.getrandbits(31), start=seed.text, strength=noise)
            drawn: Drawn = yield Draw(self, brief)
            if drawn.image is None:  # a safety checker's black image, say: other noise may give one
                lost += 1
                if lost == LOST:
                    return
                continue
            made = json.loads(drawn.parameters) | {"guided": self._said()}
            yield [Candidate(drawn.image, (Step("guided", noise, brief.seed),), json.dumps(made, sort_keys=True))]

    def _said(self) -> dict[str, Any]:
        """How a sample was steered, for its record."""
        said = {"strength": self.strength, "clamp": self.clamp, "skip": self.skip, "unguided": self.unguided}
        said |= {"judge_weight": self.judge_weight, "every": self.every, "moves": self.moves, "sure": self.sure}
        return said | ({"surrogates": [repr(one) for one in self.surrogates]} if self.surrogates else {})
