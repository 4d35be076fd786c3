from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparring.metrics import operating_point
from sparring.protocols import Embedder, Verdict
from sparring.record import BENIGN
from sparring.text import canonical, payload

SLACK = 20


class ClassifierJudge:
    """Embedding plus logistic regression on canonical text, with the seed's payload, meaning and length kept.

    Reasons, in the order they are checked: `payload`, `length`, `cosine`, `label`. `cosine` compares canonical texts'
    embeddings with the seed's. A seed of "" (a generated sample) is held to the classifier alone.
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
        self.patterns = tuple(patterns)
        self.labels: tuple[str, ...] = ()
        self.thresholds: dict[str, float] = {}
        self.rows = 0
        self._model: Any = None

    def __repr__(self) -> str:
        return f"ClassifierJudge({self.embedder.name}, cosine={self.cosine}, longer={self.longer}, max_fpr={self.max_fpr})"

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> ClassifierJudge:
        """Learns what violates from rows that no other part sees; cross-validated thresholds at `max_fpr`, a label each."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict

        x, y = self._encode(texts), np.asarray(labels)
        model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
        folds = StratifiedKFold(min(5, int(np.unique(y, return_counts=True)[1].min())), shuffle=True, random_state=0)
        p = cross_val_predict(model, x, y, cv=folds, method="predict_proba")
        self.labels = tuple(np.unique(y))
        self.thresholds = {
            label: operating_point(p[:, i], y == label, self.max_fpr) for i, label in enumerate(self.labels) if label != BENIGN
        }
        self.rows = len(texts)
        self._model = model.fit(x, y)
        return self

    def scores(self, texts: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """(n,) probability that each text carries its label, on canonical form `deobfuscate`."""
        if not len(texts):
            return np.zeros(0)
        p = self._model.predict_proba(self._encode(texts))
        return p[np.arange(len(texts)), [self.labels.index(label) for label in labels]]

    def assess(self, seeds: Sequence[str], samples: Sequence[str], labels: Sequence[str]) -> list[Verdict]:
        """A sample that falls before the classifier is asked has the score 0."""
        reasons = [self._kept(*pair) for pair in zip(seeds, samples, strict=True)]
        asked = [i for i, reason in enumerate(reasons) if not reason and seeds[i]]
        near = self._similarity([seeds[i] for i in asked], [samples[i] for i in asked])
        for i, cosine in zip(asked, near, strict=True):
            reasons[i] = "cosine" if cosine < self.cosine else ""
        out = [Verdict(False, 0.0, reason) for reason in reasons]
        asked = [i for i, reason in enumerate(reasons) if not reason]
        scores = self.scores([samples[i] for i in asked], [labels[i] for i in asked])
        for i, score in zip(asked, np.clip(scores, 0, 1).tolist(), strict=True):
            valid = score > self.thresholds[labels[i]]
            out[i] = Verdict(valid, score, "" if valid else "label")
        return out

    def _kept(self, seed: str, sample: str) -> str:
        """Why the sample is not the seed's any more, before any model is asked."""
        if not seed:
            return ""
        flat, origin = canonical(sample), canonical(seed)
        if not all(p in flat for p in payload(origin, self.patterns)):
            return "payload"
        return "length" if len(flat) > self.longer * len(origin) + SLACK else ""

    def _similarity(self, seeds: Sequence[str], samples: Sequence[str]) -> np.ndarray:
        """Cosine at level `unicode`: a normaliser, no more, stands between the two."""
        if not len(samples):
            return np.zeros(0)
        vectors = self.embedder.encode([canonical(t) for t in (*seeds, *samples)])
        return (vectors[: len(seeds)] * vectors[len(seeds) :]).sum(1)

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        return self.embedder.encode([canonical(t, "deobfuscate") for t in texts])
