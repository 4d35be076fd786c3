from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Answers, Prompt, Verdicts


@dataclass(kw_only=True)
class Dummy(Verdicts):
    """Counts words in the user's part and gives the first answer the more for them: no model; for tests and dry runs.

    The first answer's log-odds are `bias` plus `weight` for each word found; the others share the rest alike.
    """

    name: ClassVar[str] = "dummy"

    model: str = "rule"
    words: Sequence[str] = ("win", "won", "free", "prize", "claim", "cash", "winner", "urgent", "offer", "call", "txt")
    bias: float = -3.0
    weight: float = 2.0

    def answer(self, prompts: Sequence[Prompt], answers: tuple[str, ...], begun: str) -> Answers:
        pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, self.words)) or '(?!)'})\b", re.I)
        odds = [self.bias + self.weight * len(pattern.findall(user)) for _, user in prompts]
        first = np.array([[1 / (1 + math.exp(-x))] for x in odds])
        rest = np.repeat((1 - first) / (len(answers) - 1), len(answers) - 1, axis=1)
        p = np.concatenate([first, rest], axis=1)
        return Answers(p, np.ones(p.shape, bool))
