"""Stand-ins for the target that answer without a query: ridge regression of its log-odds on n-grams, and on embeddings."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

NGRAMS = (2, 3, 4)
_SMALL = 1e-4  # a weight below it moves nothing


@dataclass(frozen=True, slots=True)
class Ngrams:
    """Log-odds of violating as `bias` + sum of word scores / sqrt(sum of word sizes): what L2-normalised counts of character
    n-grams and whole words give. So an edit's effect is two additions, and no text is ever rendered to predict it.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    bias: float = 0.0

    def word(self, word: str) -> tuple[float, float]:
        """(score, size) of one word."""
        grams = _grams(word)
        get = self.weights.get
        return sum([get(gram, 0.0) for gram in grams]), float(len(grams))

    def text(self, text: str) -> tuple[float, float]:
        """(score, size) of a text: the sums over its words."""
        score = size = 0.0
        for word in text.split():
            one = self.word(word)
            score, size = score + one[0], size + one[1]
        return score, size

    def log_odds(self, score: float, size: float) -> float:
        return self.bias + score / math.sqrt(max(size, 1.0))

    def of(self, text: str) -> float:
        """Log-odds of a text."""
        return self.log_odds(*self.text(text))

    @classmethod
    def fit(cls, texts: Sequence[str], odds: np.ndarray, *, alpha: float = 0.1) -> Ngrams:
        """Learns from texts and the target's (n,) log-odds for them."""
        from scipy.sparse import csr_matrix, diags
        from sklearn.linear_model import Ridge

        counts = [Counter(gram for word in text.split() for gram in _grams(word)) for text in texts]
        vocabulary = {gram: i for i, gram in enumerate(dict.fromkeys(gram for row in counts for gram in row))}
        if not vocabulary:
            return cls({}, float(np.mean(odds)) if len(texts) else 0.0)
        indices = [vocabulary[gram] for row in counts for gram in row]
        values = np.array([n for row in counts for n in row.values()], np.float64)
        bounds = np.cumsum([0, *map(len, counts)])
        x = csr_matrix((values, indices, bounds), shape=(len(texts), len(vocabulary)))
        size = np.array([max(1, sum(row.values())) for row in counts], np.float64)
        model = Ridge(alpha=alpha, solver="sparse_cg", tol=1e-4).fit(diags(size**-0.5) @ x, odds)
        weights = {gram: round(float(w), 5) for gram, w in zip(vocabulary, model.coef_, strict=True) if abs(w) > _SMALL}
        return cls(weights, float(model.intercept_))


@dataclass(frozen=True, slots=True)
class Semantic:
    """Log-odds as a linear function of a text's embedding. `trust` in [0, 1] is its share where n-grams guess as well."""

    weights: tuple[float, ...]
    bias: float
    trust: float = 0.0

    def of(self, vectors: np.ndarray) -> np.ndarray:
        """(n,) log-odds of (n, d) embeddings."""
        return vectors @ np.array(self.weights) + self.bias

    @classmethod
    def fit(cls, vectors: np.ndarray, odds: np.ndarray, *, trust: float = 0.0) -> Semantic:
        """Learns from (n, d) embeddings and the target's (n,) log-odds; the ridge is chosen by leave-one-out error."""
        from sklearn.linear_model import RidgeCV

        model = RidgeCV(alphas=(0.01, 0.1, 1.0)).fit(vectors, odds)
        return cls(tuple(round(float(w), 5) for w in model.coef_), float(model.intercept_), trust)


@functools.lru_cache(1 << 14)
def _grams(word: str) -> tuple[str, ...]:
    """The n-grams of a word between its edges, and the word itself."""
    padded = f" {word.lower()} "
    return (word.lower(), *[padded[i : i + n] for n in NGRAMS for i in range(len(padded) - n + 1)])
