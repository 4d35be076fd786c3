"""What a swap of words gains on a linear classifier over n-grams, to first order: its weights are the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import JobError


class _Block(NamedTuple):
    """One vectorizer of a pipeline: its counts, what weighs them, and which columns of the classifier are its own."""

    counts: Any
    weigh: Any  # a fitted TfidfTransformer, or None
    columns: slice

    def features(self, texts: Sequence[str]) -> Any:
        """(n, d) sparse: before the rows are scaled."""
        from sklearn.feature_extraction.text import CountVectorizer

        x = CountVectorizer.transform(self.counts, list(texts)).astype(np.float64)
        if self.weigh is not None:
            if self.weigh.sublinear_tf:
                x.data = 1 + np.log(x.data)
            if self.weigh.use_idf:
                x = x.multiply(self.weigh.idf_).tocsr()
        return x

    @property
    def norm(self) -> str | None:
        return self.weigh.norm if self.weigh is not None else None


class LinearSwaps:
    """`pipeline` ends in a linear classifier behind vectorizers of texts; `violating[i]` says of its class i.

    The first order is in the features before a row is scaled to length 1, and of a word that comes in those n-grams count
    that lie within it. Raises `JobError` for any other pipeline.
    """

    def __init__(self, pipeline: Any, violating: Sequence[bool], who: str):
        self._blocks = _blocks(pipeline)
        classifier: Any = pipeline[-1] if self._blocks else None
        if not hasattr(classifier, "coef_"):
            raise JobError(
                f"{who}: gradients are known of a linear classifier over counts or TF-IDF of n-grams, in a pipeline of these "
                f"two; this is {type(pipeline).__name__}. Fix: a strategy that asks for scores alone, as `greedy` does"
            )
        coef, intercept = np.atleast_2d(classifier.coef_), np.atleast_1d(classifier.intercept_)
        if len(coef) == 1:  # two classes: the first is the other's negative
            coef, intercept = np.vstack([np.zeros_like(coef), coef]), np.array([0.0, float(intercept[0])])
        self._coef, self._intercept, self._violating = coef, intercept, np.array(violating, bool)
        self._words: tuple[Sequence[str], list[Any]] = ((), [])

    def gains(self, text: str, spans: Sequence[tuple[int, int]], words: Sequence[str]) -> np.ndarray:
        """(t, n) float32, as `WhiteBox.swap_gains`."""
        if words is not self._words[0]:
            self._words = (words, [block.features(words) for block in self._blocks])
        without = [f"{text[:start]} {text[end:]}" for start, end in spans]
        found = [block.features([text, *without]) for block in self._blocks]
        size = [_size(x[0], block.norm) for x, block in zip(found, self._blocks, strict=True)]
        z = self._intercept + sum(
            self._coef[:, block.columns] @ x[0].toarray().ravel() / n
            for x, n, block in zip(found, size, self._blocks, strict=True)
        )
        direction = self._direction(z)
        out = np.zeros((len(spans), len(words)))
        for x, n, new, block in zip(found, size, self._words[1], self._blocks, strict=True):
            slope = _slope(direction[block.columns], x[0].toarray().ravel(), n, block.norm)
            lost = (x[np.zeros(len(spans), int)] - x[1:]).maximum(0)
            out += (lost @ slope)[:, None] - (new @ slope)[None]
        return out.astype(np.float32)

    def _direction(self, z: np.ndarray) -> np.ndarray:
        """(d,) gradient of the log-odds of violating with regard to the classifier's input."""
        sides = [side for side in (self._violating, ~self._violating) if side.any()]
        up, *down = [_softmax(z[side]) @ self._coef[side] for side in sides]
        return up - down[0] if down else up


def _blocks(pipeline: Any) -> list[_Block]:
    """None of them where the pipeline is not understood."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
    from sklearn.pipeline import FeatureUnion, Pipeline

    if not isinstance(pipeline, Pipeline) or len(pipeline) not in (2, 3):
        return []
    first, weigh = pipeline[0], pipeline[1] if len(pipeline) == 3 else None
    parts = [part for _, part in first.transformer_list] if isinstance(first, FeatureUnion) else [first]
    if getattr(first, "transformer_weights", None) or not (weigh is None or isinstance(weigh, TfidfTransformer)):
        return []
    if not all(isinstance(part, CountVectorizer) for part in parts) or (weigh is not None and len(parts) > 1):
        return []
    out, start = [], 0
    for part in parts:
        if isinstance(part, TfidfVectorizer) and weigh is not None:
            return []
        end = start + len(part.vocabulary_)
        out.append(_Block(part, part._tfidf if isinstance(part, TfidfVectorizer) else weigh, slice(start, end)))
        start = end
    return out


def _size(row: Any, norm: str | None) -> float:
    values = np.abs(row.data)
    size = 1.0 if norm is None else float(values.sum()) if norm == "l1" else float(np.sqrt((values**2).sum()))
    return size or 1.0


def _slope(direction: np.ndarray, row: np.ndarray, size: float, norm: str | None) -> np.ndarray:
    """(d,) of `direction` through the scaling of a row."""
    if norm is None:
        return direction
    unit = row / size
    return (direction - (direction @ unit) * (unit if norm == "l2" else np.sign(row))) / size


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()
