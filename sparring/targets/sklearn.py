from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import pydantic

from .. import embed, registry
from ..errors import JobError
from ..jobs import Count
from .base import TrainableTarget, clean
from .linear import LinearSwaps


class SklearnTarget(TrainableTarget):
    """Logistic regression over TF-IDF of words (1-2 grams) and characters (2-5 grams), or over the embeddings of a registered
    encoder that stays as it is; saved by skops.

    With `head` "kernel" the embeddings pass `components` features of a Gaussian kernel of width `gamma` first (Nystroem,
    Williams and Seeger 2001), so that the border may bend: a plane in 384 dimensions has little room for what attacks teach.
    """

    kind = "sklearn"
    gradients = True

    class Settings(TrainableTarget.Settings):
        features: Literal["word", "word+char", "embedding"] = "word+char"
        embedder: str = "minilm"  # for `embedding`
        head: Literal["linear", "kernel"] = "linear"  # for `embedding`
        gamma: Annotated[float, pydantic.Field(gt=0)] = 1.0  # of the kernel exp(-gamma * squared distance)
        components: Count = 1024  # of the kernel, at most as many as rows
        C: float = 10.0
        class_weight: Literal["balanced"] | None = "balanced"
        max_iter: Count = 2000

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._pipeline: Any = None
        self._swaps: LinearSwaps | None = None

    def check(self, names: tuple[str, ...]) -> None:
        if self.settings.features == "embedding" and self.settings.embedder not in registry.names("embedder"):
            known = ", ".join(registry.names("embedder"))
            raise JobError(f"{self.who}: expected an embedder out of {known}; got {self.settings.embedder!r}")
        if self.settings.head == "kernel" and self.settings.features != "embedding":
            raise JobError(f"{self.who}: `head: kernel` is for `features: embedding`; got features {self.settings.features!r}")

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, names: tuple[str, ...], seed: int) -> Self:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline, make_union

        s, new = self.settings, self.with_labels(names)
        model = LogisticRegression(C=s.C, class_weight=s.class_weight, max_iter=s.max_iter, random_state=seed)
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
        before = [{"word": words, "word+char": make_union(words, characters)}[s.features]] if s.features != "embedding" else []
        if s.head == "kernel":
            before.append(Nystroem(gamma=s.gamma, n_components=min(s.components, len(texts)), random_state=seed))
        new._pipeline = make_pipeline(*before, model)
        new._pipeline.fit(new._given(texts), [names.index(label) for label in labels])
        return new

    def _given(self, texts: Sequence[str]) -> Any:
        """What the pipeline takes for these texts."""
        embeds = self.settings.features == "embedding"
        return embed.shared(self.settings.embedder).encode(clean(texts)) if embeds else list(texts)

    def predict_proba(self, samples: Sequence[str]) -> np.ndarray:
        self.check_fitted()
        out = np.zeros((len(samples), len(self.labels)), np.float32)
        if len(samples):
            out[:, self._pipeline[-1].classes_] = self._pipeline.predict_proba(self._given(samples))
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
