from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from ..errors import JobError
from .base import TrainableTarget


class SklearnTarget(TrainableTarget):
    """TF-IDF over words (1-2 grams) and characters (2-5 grams) with logistic regression, saved by skops."""

    def __init__(
        self, *, features: str = "word+char", C: float = 10.0, class_weight: str | None = "balanced", max_iter: int = 2000
    ):
        if features not in ("word", "word+char"):
            raise JobError(f"target 'sklearn': expected features 'word' or 'word+char', got {features!r}")
        self.features, self.C, self.class_weight, self.max_iter = features, C, class_weight, max_iter
        self._pipeline: Any = None

    def settings(self) -> dict[str, Any]:
        return {"features": self.features, "C": self.C, "class_weight": self.class_weight, "max_iter": self.max_iter}

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, names: tuple[str, ...], seed: int) -> Self:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline, make_union

        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
        model = LogisticRegression(C=self.C, class_weight=self.class_weight, max_iter=self.max_iter, random_state=seed)
        new = type(self)(**self.settings())
        new.labels = names
        new._pipeline = make_pipeline(words if self.features == "word" else make_union(words, characters), model)
        new._pipeline.fit(list(texts), [names.index(label) for label in labels])
        return new

    def predict_proba(self, samples: Sequence[str]) -> np.ndarray:
        self.check_fitted()
        out = np.zeros((len(samples), len(self.labels)), np.float32)
        if len(samples):
            out[:, self._pipeline[-1].classes_] = self._pipeline.predict_proba(list(samples))
        return out

    def save(self, folder: pathlib.Path) -> None:
        import skops.io

        self.check_fitted()
        folder.mkdir(parents=True)
        skops.io.dump(self._pipeline, folder / "pipeline.skops")
        state = {"settings": self.settings(), "labels": self.labels, "threshold": self.threshold}
        (folder / "target.json").write_text(json.dumps(state, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        import skops.io

        state = json.loads((folder / "target.json").read_text(encoding="utf-8"))
        new = cls(**state["settings"])
        new.labels, new.threshold = tuple(state["labels"]), state["threshold"]
        new._pipeline = skops.io.load(folder / "pipeline.skops", trusted=[])
        return new
