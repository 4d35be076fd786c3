from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np

from ..jobs import Count
from .base import TrainableTarget
from .linear import LinearSwaps


class SklearnTarget(TrainableTarget):
    """TF-IDF over words (1-2 grams) and characters (2-5 grams) with logistic regression, saved by skops."""

    kind = "sklearn"
    gradients = True

    class Settings(TrainableTarget.Settings):
        features: Literal["word", "word+char"] = "word+char"
        C: float = 10.0
        class_weight: Literal["balanced"] | None = "balanced"
        max_iter: Count = 2000

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._pipeline: Any = None
        self._swaps: LinearSwaps | None = None

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, names: tuple[str, ...], seed: int) -> Self:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline, make_union

        s = self.settings
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
        model = LogisticRegression(C=s.C, class_weight=s.class_weight, max_iter=s.max_iter, random_state=seed)
        new = self.with_labels(names)
        new._pipeline = make_pipeline(words if s.features == "word" else make_union(words, characters), model)
        new._pipeline.fit(list(texts), [names.index(label) for label in labels])
        return new

    def predict_proba(self, samples: Sequence[str]) -> np.ndarray:
        self.check_fitted()
        out = np.zeros((len(samples), len(self.labels)), np.float32)
        if len(samples):
            out[:, self._pipeline[-1].classes_] = self._pipeline.predict_proba(list(samples))
        return out

    def swap_gains(
        self, samples: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]], words: Sequence[str]
    ) -> list[np.ndarray]:
        self.check_fitted()
        if self._swaps is None:
            violating = [number != 0 for number in self._pipeline[-1].classes_]
            self._swaps = LinearSwaps(self._pipeline, violating, self.who)
        return [self._swaps.gains(text, mine, words) for text, mine in zip(samples, spans, strict=True)]

    def write(self, folder: pathlib.Path) -> None:
        import skops.io

        skops.io.dump(self._pipeline, folder / "pipeline.skops")

    def read(self, folder: pathlib.Path) -> None:
        import skops.io

        self._pipeline = skops.io.load(folder / "pipeline.skops", trusted=[])
