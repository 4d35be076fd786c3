"""What strategies are made of in tests; a language model that rewrites by rule among it."""

from __future__ import annotations

import json
import re
from random import Random

import pytest

from sparring import registry
from sparring.protocols import Completion
from sparring.record import digest
from sparring.text import payload

POOL = "kindly quickly maybe soon today friend thanks lovely fine early".split()


class Rewriter:
    """A text model: rewrites the prompt's message, keeping its payload unless it `loses` it, and knows what it was asked."""

    def __init__(self, *, loses: bool = False, form: str = "json"):
        self.loses, self.form = loses, form
        self.calls: list[tuple[int, list[tuple[str, str]]]] = []

    def __repr__(self) -> str:
        return f"Rewriter(loses={self.loses}, form={self.form!r})"

    def describe(self):
        return {"name": "rewriter", "model": "by rule", "revision": "1", "licence": "Apache-2.0", "parameters": {}}

    def complete(self, prompts, *, seed):
        self.calls.append((seed, list(prompts)))
        return [Completion(self._answer(user, Random(digest(seed, system, user))), 9) for system, user in prompts]

    def _answer(self, user: str, rng: Random) -> str:
        text = json.loads(re.search(r"Message, as JSON: (.*)", user)[1])
        texts = [self._rewrite(text, rng) for _ in range(4)]
        return (
            json.dumps({"rewrites": texts}) if self.form == "json" else "\n".join(f"{i}. {t}" for i, t in enumerate(texts, 1))
        )

    def _rewrite(self, text: str, rng: Random) -> str:
        if self.loses:
            return " ".join(rng.sample(POOL, 3))
        kept = payload(text)
        return " ".join(
            rng.choice(POOL) if rng.random() < 0.4 and word.isalpha() and not any(word in part for part in kept) else word
            for word in re.split(r"(?<=\S) (?=\S)", text)
        )


@pytest.fixture
def rewriter():
    return Rewriter


@pytest.fixture(scope="session")
def made():
    """A strategy with those of what there is that it takes."""

    def make(name: str, operators, known, guide=None):
        offers = {"operators": operators, "knowledge": known, "model": Rewriter(), "words": tuple(POOL)}
        return registry.make("attack", name, **registry.offered("attack", name, offers | ({"guide": guide} if guide else {})))

    return make
