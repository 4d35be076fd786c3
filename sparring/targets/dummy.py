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

    def __init__(self, *, smoothing: float = 1.0):
        self.smoothing = smoothing
        self._counts: list[Counter[str]] = []
        self._rows: list[int] = []

    def settings(self) -> dict[str, Any]:
        return {"smoothing": self.smoothing}

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, names: tuple[str, ...], seed: int) -> Self:
        new = type(self)(**self.settings())
        new.labels = names
        new._counts = [Counter() for _ in names]
        for text, label in zip(texts, labels, strict=True):
            new._counts[names.index(label)].update(set(text.lower().split()))
        new._rows = [sum(label == name for label in labels) for name in names]
        return new

    def predict_proba(self, samples: Sequence[str]) -> np.ndarray:
        self.check_fitted()
        if not len(samples):
            return np.zeros((0, len(self.labels)), np.float32)
        s = self.smoothing
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

    def save(self, folder: pathlib.Path) -> None:
        self.check_fitted()
        folder.mkdir(parents=True)
        state = {
            "settings": self.settings(), "labels": self.labels, "threshold": self.threshold,
            "counts": self._counts, "rows": self._rows,
        }  # fmt: skip
        (folder / "target.json").write_text(json.dumps(state), encoding="utf-8")

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        state = json.loads((folder / "target.json").read_text(encoding="utf-8"))
        new = cls(**state["settings"])
        new.labels, new.threshold, new._rows = tuple(state["labels"]), state["threshold"], state["rows"]
        new._counts = [Counter(c) for c in state["counts"]]
        return new
