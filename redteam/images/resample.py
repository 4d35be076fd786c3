from __future__ import annotations

import itertools
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

from sparring.custody import check_text
from sparring.errors import JobError
from sparring.protocols import Brief, Drawn, Target
from sparring.record import Step

from ..engine import Ask, Attack, Candidate, Search, Seed


@dataclass(frozen=True, eq=False)
class Drawing(Ask):
    """Briefs to draw; what all living searches ask for is drawn together, and costs no query."""

    attack: Resample
    briefs: tuple[Brief, ...]

    @classmethod
    def answer(cls, asked: Sequence[Drawing], target: Target) -> list[list[Drawn]]:
        drawn = iter(asked[0].attack.image_model.draw([brief for one in asked for brief in one.briefs]))
        return [list(itertools.islice(drawn, len(one.briefs))) for one in asked]


class Resample(Attack):
    """Searches a generator by scores alone: over its initial noise, `prompts` and `attributes` first, then what came nearest is
    drawn anew by SDEdit at `strength`, `width` at a time. Works on a black box, with any generator.

    `noises` draws are from noise. In a prompt "{}" stands for the label and "{light}" for a value of the attribute `light`;
    once something came near, one attribute is changed at a time. A generator that draws by label alone heeds neither.
    """

    makes: ClassVar[Mapping[str, str]] = {"search": "diffusion"}

    def __init__(
        self, *, image_model: Any, noises: int = 8, width: int = 4, strength: float = 0.5, prompts: Sequence[str] = (),
        attributes: Mapping[str, Sequence[str]] | None = None,
    ):  # fmt: skip
        if noises < 1 or width < 1 or not 0 < strength <= 1:
            raise JobError(
                f"attack 'search': expected noises and width >= 1 and strength in (0, 1]; got {noises}, {width} and {strength}"
            )
        self.image_model, self.noises, self.width, self.strength = image_model, noises, width, strength
        self.prompts = tuple(prompts)
        self.attributes = {name: tuple(values) for name, values in (attributes or {}).items()}
        named = {name for prompt in self.prompts for _, name, _, _ in string.Formatter().parse(prompt) if name}
        if named != set(self.attributes) or not all(self.attributes.values()):
            raise JobError(
                "attack 'search': expected values for each attribute that `prompts` name, and no others; prompts name "
                f"{sorted(named)}, attributes are {sorted(self.attributes)}"
            )
        check_text("", *self.prompts, *(value for values in self.attributes.values() for value in values))

    def __repr__(self) -> str:
        shown = ("noises", "width", "strength", "prompts", "attributes")
        return f"Resample({self.image_model!r}, {', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    @property
    def code(self) -> tuple[type, ...]:
        """The classes whose source decides what it proposes, for the key of a unit of work."""
        return (type(self), type(self.image_model))

    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> Search:
        best: tuple[float, bytes, int, dict[str, str]] | None = None
        done = 0
        while True:
            tried = []
            for _ in range(self.width):
                tried.append(self._brief(seed, best if done >= self.noises else None, done, rng))
                done += 1
            drawn: list[Drawn] = yield Drawing(self, tuple(brief for brief, *_ in tried))
            made = [(one, *rest) for one, rest in zip(drawn, tried, strict=True) if one.image is not None]
            if not made:
                return
            told = yield [
                Candidate(one.image, (Step("search", brief.strength, brief.seed),), self._said(one, chosen))
                for one, brief, _, chosen in made
            ]
            for answer, (one, _, prompt, chosen) in zip(told, made, strict=True):
                if answer.score is not None and not answer.hit and (best is None or answer.score < best[0]):
                    best = (answer.score, one.image or b"", prompt, chosen)

    def _brief(self, seed: Seed, best: Any, number: int, rng: Random) -> tuple[Brief, int, dict[str, str]]:
        """What to draw next, the number of its prompt, and its attributes."""
        prompt, chosen = number, {name: rng.choice(values) for name, values in self.attributes.items()}
        if best:
            prompt, new = best[2], rng.choice(sorted(chosen)) if chosen else ""
            chosen = best[3] | ({new: chosen[new]} if new else {})
        words = self.prompts[prompt % len(self.prompts)].format(seed.label, **chosen) if self.prompts else ""
        own: dict[str, Any] = {"start": best[1], "strength": self.strength} if best else {}
        return Brief(seed.label, rng.getrandbits(31), prompt=words, **own), prompt, chosen

    def _said(self, drawn: Drawn, chosen: Mapping[str, str]) -> str:
        said = json.loads(drawn.parameters) | ({"attributes": dict(chosen)} if chosen else {})
        return json.dumps(said, sort_keys=True)
