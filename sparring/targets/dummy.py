from __future__ import annotations

import json
import math
import pathlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from .base import TrainableTarget


class DummyTarget(TrainableTarget):
    """Naive Bayes over words in plain Python: deterministic, trains in milliseconds; for tests and dry runs."""

    kind = "dummy"

    class Settings(TrainableTarget.Settings):
        smoothing: float = 1.0

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._counts: list[Counter[str]] = []
        self._rows: list[int] = []

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, names: tuple[str, ...], seed: int) -> Self:
        new = self.with_labels(names)
        new._counts = [Counter() for _ in names]
        for text, label in zip(texts, labels, strict=True):
            new._counts[names.index(label)].update(set(text.lower().split()))
        new._rows = [sum(label == name for label in labels) for name in names]
        return new

    def predict_proba(self, samples: Sequence[str]) -> np.ndarray:
        self.check_fitted()
        if not len(samples):
            return np.zeros((0, len(self.labels)), np.float32)
        s = self.settings.smoothing
        logits = np.array(
            [
                [
                    math.log(rows + s)
                    + sum(math.log((count[w] + s) / (rows + 2 * s)) for w in sorted(set(text.lower().split())))
                    if rows
                    else -math.inf  # a label without rows; smoothing alone would make it the likeliest
                    for count, rows in zip(self._counts, self._rows, strict=True)
                ]
                for text in samples
            ]
        )
        p = np.exp(logits - logits.max(1, keepdims=True))
        return (p / p.sum(1, keepdims=True)).astype(np.float32)

    def write(self, folder: pathlib.Path) -> None:
        (folder / "counts.json").write_text(json.dumps({"counts": self._counts, "rows": self._rows}), encoding="utf-8")

    def read(self, folder: pathlib.Path) -> None:
        state = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
        self._counts, self._rows = [Counter(c) for c in state["counts"]], state["rows"]
