from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparring.protocols import Embedder

from .criteria import All, Classifier, Cosine, Length, PayloadKept


class ClassifierJudge(All):
    """Embedding plus logistic regression on canonical text, with the seed's payload, meaning and length kept.

    Reasons, in the order they are checked: `payload`, `length`, `cosine`, `label`. `cosine` compares canonical texts'
    embeddings with the seed's. A seed of "" (a generated sample) is held to the classifier alone. A sample that falls before
    the classifier is asked has the score 0.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        cosine: float = 0.8,
        longer: float = 1.5,
        max_fpr: float = 0.05,
        patterns: Sequence[str] = (),
    ):
        self.embedder, self.cosine, self.longer, self.max_fpr = embedder, cosine, longer, max_fpr
        self.classifier = Classifier(embedder, max_fpr=max_fpr)
        kept = [PayloadKept(patterns=patterns), Length(longer=longer), Cosine(embedder, cosine)]
        super().__init__(criteria=[*kept, self.classifier])

    def __repr__(self) -> str:
        return f"ClassifierJudge({self.embedder.name}, cosine={self.cosine}, longer={self.longer}, max_fpr={self.max_fpr})"

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, groups: Sequence[str] = ()) -> ClassifierJudge:
        """Learns what violates from rows that no other part sees; cross-validated thresholds at `max_fpr`, a label each."""
        super().fit(texts, labels, groups=groups)
        return self

    @property
    def thresholds(self) -> dict[str, float]:
        return self.classifier.thresholds

    def scores(self, texts: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """(n,) probability that each text carries its label, on canonical form `deobfuscate`."""
        return self.classifier.scores(texts, labels)
