from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import Any, ClassVar

from sparring import ocr
from sparring.custody import is_prohibited
from sparring.errors import JobError
from sparring.protocols import Brief
from sparring.record import Step

from ..engine import Attack, Candidate, Search, Seed


class Redraw(Attack):
    """Reads what stands in an image and sets it anew: another font, layout, contrast, warp and spelling each time, as is
    done with a flyer that was blocked.

    Asks for scores alone. Needs a generator that sets text (`flyer`), of the seeds' size; what OCR misreads stands misread in
    what is drawn, and the judge decides whether the words are still there.
    """

    makes: ClassVar[Mapping[str, str]] = {"redraw": "layout"}

    def __init__(self, *, image_model: Any, width: int = 4, side: int = ocr.SIDE):
        if not getattr(image_model, "sets_text", False) or width < 1:
            raise JobError(f"attack 'redraw': expected a generator that sets text, such as `flyer`; got {image_model!r}")
        self.image_model, self.width, self.side = image_model, width, side

    def __repr__(self) -> str:
        return f"Redraw({self.image_model!r}, width={self.width}, side={self.side})"

    @property
    def code(self) -> tuple[type, ...]:
        """The classes whose source decides what it proposes, for the key of a unit of work."""
        return (type(self), type(self.image_model))

    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> Search:
        text = re.sub(r"\s+", " ", ocr.read(seed.text, side=self.side)).strip()
        if not text or is_prohibited(text):
            return
        while True:
            briefs = [Brief(seed.label, rng.getrandbits(31), prompt=text) for _ in range(self.width)]
            drawn = [(brief, one) for brief, one in zip(briefs, self.image_model.draw(briefs), strict=True) if one.image]
            yield [Candidate(one.image, (Step("redraw", 1.0, brief.seed),), one.parameters) for brief, one in drawn]
