"""Our side of `attack.py`: the target of a setting, and our search on it with everything timed."""

from __future__ import annotations

import contextlib
import functools
import gc
import re
import time
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np

from benchmarks import shared, targets
from redteam import engine, warmup
from redteam.engine import Outcome, Seed
from redteam.judges.criteria import Cosine, Length, PayloadKept
from sparring import registry
from sparring.embed import Cached
from sparring.metrics import operating_point
from sparring.protocols import Embedder, Target, violation_scores
from sparring.targets.linear import LinearSwaps


class Clocked:
    """A part whose calls are timed; everything else is the part's own."""

    def __init__(self, inner: Any, method: str):
        self._inner, self._method, self.seconds, self.calls = inner, method, 0.0, 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return functools.partial(self._timed, found) if name == self._method else found

    def _timed(self, call: Any, *args: Any) -> Any:
        start = time.process_time()
        try:
            return call(*args)
        finally:
            self.seconds += time.process_time() - start
            self.calls += len(args[0])


class Fitted:
    """A setting's target at its operating point: 1% clean false positives on validation, 0.5 for profanity."""

    labels = ("benign", "spam")

    def __init__(self, setting: str):
        train, labels = shared.texts("train")
        self.model = targets.target(setting).fit(train, labels)
        checked, truth = shared.texts("validation")
        self.threshold = 0.5 if setting == "profanity" else operating_point(self.predict_proba(checked)[:, 1], truth == 1, 0.01)

    def predict_proba(self, samples: Sequence[str]) -> np.ndarray:
        return self.model.predict_proba(list(samples))

    def swap_gains(self, samples: Any, spans: Any, words: Any) -> list[np.ndarray]:
        """For a linear model over TF-IDF alone."""
        swaps = LinearSwaps(self.model, [False, True], "the benchmark's target")
        return [swaps.gains(text, mine, words) for text, mine in zip(samples, spans, strict=True)]


class Replay(engine.Attack):
    """Proposes what another strategy proposed before, at no cost: what is left is the engine and the target."""

    def __init__(self, inner: engine.Attack):
        self.inner = inner
        self.proposed: dict[str, list[Any]] = {}

    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> engine.Search:
        if seed.id in self.proposed:
            for batch in self.proposed[seed.id]:  # noqa: UP028, a list takes no answers
                yield batch
            return
        mine = self.proposed[seed.id] = []
        search, answer = self.inner.search(seed, score, threshold, rng), None
        with contextlib.closing(search), contextlib.suppress(StopIteration):
            while True:
                mine.append(search.send(answer))
                answer = yield mine[-1]


class Ours:
    """Our search on one target, with everything it needs made once."""

    WARMUP = 2000

    def __init__(self, target: Target, operators: Sequence[str], embedder: Embedder | None):
        self.target, self.embedder = Clocked(target, "predict_proba"), Clocked(embedder, "encode")
        parts = {name: registry.make("operator", name) for name in operators}
        train, labels = shared.texts("train")
        violating, benign = ([t for t, label in zip(train, labels, strict=True) if label == kind] for kind in (1, 0))
        start = time.process_time()
        known = warmup.learn(
            lambda t: violation_scores(self.target, t), violating, benign, parts, budget=self.WARMUP, seed=0, guide=embedder
        )
        self.warmup = {"queries": known.queries, "seconds": round(time.process_time() - start, 2)}
        if "dilution" in parts:
            parts["dilution"] = registry.make("operator", "dilution", phrases=known.phrase_texts)
        self.operators, self.knowledge = parts, known
        count = Counter(word for text in benign for word in re.findall(r"[^\W\d_]{2,}", text.lower()))
        self.words = tuple(word for word, _ in sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))[:1000])

    def seeds(self, most: int) -> list[str]:
        """The first test seeds that the target catches."""
        rows, labels = shared.texts("test")
        spam = [t for t, label in zip(rows, labels, strict=True) if label]
        caught = violation_scores(self.target, spam) > self.target.threshold
        return [t for t, is_caught in zip(spam, caught, strict=True) if is_caught][:most]

    def attack(
        self, seeds: Sequence[str], budget: int, kind: str = "greedy", *, replay: bool = False
    ) -> tuple[list[Outcome], dict[str, float]]:
        """Guide and judge share a cache, which is new: an earlier run pays for nothing. With `replay` the figures are of a
        second run, whose candidates are those of the first."""
        cache = Cached(self.embedder)
        guide, judge = Clocked(cache, "encode"), Clocked(PayloadKept() & Length() & Cosine(cache, 0.802), "assess")
        offers = {"operators": self.operators, "knowledge": self.knowledge, "guide": guide, "words": self.words}
        strategy = registry.make("attack", kind, **registry.offered("attack", kind, offers))
        strategy = Replay(strategy) if replay else strategy
        for _ in range(1 + replay):
            for part in (self.target, self.embedder, guide, judge):
                part.seconds, part.calls = 0.0, 0
            gc.collect()
            start = time.process_time()
            found = engine.attack(
                strategy, self.target, [Seed(str(i), t, "spam") for i, t in enumerate(seeds)], judge,
                budget=budget, judge_budget=budget, seed=0,
            )  # fmt: skip
            total = time.process_time() - start
        times = {"total": total, "search": total - judge.seconds - guide.seconds, "target": self.target.seconds}
        return found, times | {"guided": total - judge.seconds, "embedded": self.embedder.calls}
