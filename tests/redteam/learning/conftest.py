from __future__ import annotations

from random import Random

import numpy as np
import pytest

from redteam.engine import Seed
from redteam.judges.criteria import All, EditDistance, Length, PayloadKept
from sparring import registry

TELLING = """prize winner claim bonus urgent award please tomorrow guaranteed message because number""".split()
OPERATORS = "dilution homoglyph leet merge spacing texting typo zero_width".split()


class WordTarget:
    """Catches a text whose words are mostly telling ones, as written: so several operators get past it, each alone."""

    labels = ("benign", "spam")
    threshold = 0.5

    def __init__(self) -> None:
        self.asked: list[str] = []

    def predict_proba(self, samples):
        self.asked += samples
        share = np.array([sum(w in TELLING for w in s.lower().split()) / max(1, len(s.split()) - 2) for s in samples])
        p = 1 / (1 + np.exp(8 * (0.6 - share)))
        return np.stack([1 - p, p], 1).astype(np.float32)


@pytest.fixture
def target() -> WordTarget:
    return WordTarget()


@pytest.fixture(scope="session")
def prey() -> list[Seed]:
    rng = Random(0)
    return [Seed(f"s{i}", " ".join(rng.sample(sorted(TELLING), 6)) + " call 08001234567", "spam") for i in range(60)]


@pytest.fixture(scope="session")
def operators():
    return {name: registry.make("operator", name) for name in OPERATORS}


@pytest.fixture(scope="session")
def judge() -> All:
    return All(criteria=[PayloadKept(), Length(), EditDistance(max=0.5)])
