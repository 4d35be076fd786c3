from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar

import numpy as np

from sparring import vision
from sparring.errors import JobError
from sparring.protocols import Brief, Drawn

from .base import Backend, Wrap


@dataclass(kw_only=True)
class Dummy(Backend):
    """Writes the label, or the prompt, as a stamp at a random place: no model, the same everywhere; for tests and dry runs."""

    name: ClassVar[str] = "dummy"

    licence: str | None = "Apache-2.0"
    size: int = 64
    channels: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 8 or self.channels not in (1, 3):
            raise JobError(f"dummy: expected size >= 8 and 1 or 3 channels, got {self.size} and {self.channels}")

    def settings(self) -> dict[str, Any]:
        return {"size": self.size, "channels": self.channels}

    def render(self, briefs: Sequence[Brief], wrap: Wrap | None) -> list[Drawn]:
        return [Drawn(vision.png(self._stamp(brief)), self.recipe(brief)) for brief in briefs]

    def _stamp(self, brief: Brief) -> np.ndarray:
        from PIL import Image, ImageDraw, ImageFont

        rng = Random(brief.seed)
        shape = (self.size, self.size, self.channels)
        paper = np.random.default_rng(brief.seed).integers(0, 40, shape, dtype=np.uint8)
        if brief.start is not None:
            start = vision.pixels([brief.start], size=self.size, channels=self.channels)[0]
            paper = (start * (1 - brief.strength) + paper * brief.strength).astype(np.uint8)
        ink = Image.new("L", (self.size, self.size))
        font = ImageFont.load_default(self.size * rng.uniform(0.4, 0.7) / max(1, 0.5 * len(brief.prompt or brief.label)))
        at = (self.size / 2 + rng.uniform(-0.15, 0.15) * self.size, self.size / 2 + rng.uniform(-0.15, 0.15) * self.size)
        ImageDraw.Draw(ink).text(at, brief.prompt or brief.label, fill=255, font=font, anchor="mm")
        turned = np.asarray(ink.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR))[:, :, None]
        return np.maximum(paper, turned)
