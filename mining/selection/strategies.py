"""Selectors: what to label next, by what the model does not know, by what covers the pool, or both."""

from __future__ import annotations

import numpy as np

from sparring.index import Index

from .base import Pool, Selector, best, blocks

NEIGHBOURS = 32
SPREAD = 0.1  # what a twin of a row of the batch loses, in probability


class Random(Selector):
    """Every open row alike."""

    def propose(self, open: np.ndarray) -> int:
        return int(self.rng.choice(np.flatnonzero(open)))


class Margin(Selector):
    """Smallest gap between the two likeliest labels (Scheffer et al. 2001); between a rare label and the likeliest other."""

    def __init__(self, pool: Pool, *, seed: int = 0):
        super().__init__(pool, seed=seed)
        self._score = -_gap(pool)

    def propose(self, open: np.ndarray) -> int:
        return best(self._score, open)


class Entropy(Selector):
    """Highest entropy of the predicted labels (Shannon 1948; Settles 2009)."""

    def __init__(self, pool: Pool, *, seed: int = 0):
        super().__init__(pool, seed=seed)
        p = np.clip(pool.scores, 1e-12, 1)
        p = p / p.sum(1, keepdims=True)
        self._score = -(p * np.log(p)).sum(1)

    def propose(self, open: np.ndarray) -> int:
        return best(self._score, open)


class Badge(Selector):
    """k-means++ over gradients of the last layer (Ash et al. 2020, https://arxiv.org/abs/1906.03671).

    The gradient of a linear model is the outer product of (p - predicted label) and the vector. Its distances follow from the
    inner products of the two factors, so that the (n, k d) matrix is never made.
    """

    def __init__(self, pool: Pool, *, seed: int = 0):
        super().__init__(pool, seed=seed)
        self._error = np.array(pool.scores, np.float64)
        self._error[np.arange(len(pool)), pool.scores.argmax(1)] -= 1
        self._norm = (self._error**2).sum(1) * np.einsum("nd,nd->n", pool.vectors, pool.vectors, dtype=np.float64)
        self._far: np.ndarray | None = None  # rows labelled long ago do not count: the model has learned from them

    def propose(self, open: np.ndarray) -> int:
        if self._far is None:
            return best(self._norm, open)
        weight = np.where(open, self._far, 0.0)
        total = weight.sum()
        if not total > 0:  # every gradient is that of a row taken
            return int(self.rng.choice(np.flatnonzero(open)))
        return int(self.rng.choice(len(weight), p=weight / total))

    def take(self, row: int) -> None:
        vectors = self.pool.vectors
        both = (self._error @ self._error[row]) * (vectors @ vectors[row])
        far = np.maximum(self._norm + self._norm[row] - 2 * both, 0)
        self._far = far if self._far is None else np.minimum(self._far, far)


class KCenter(Selector):
    """The row farthest from all chosen ones: k-center greedy (Sener and Savarese 2018, https://arxiv.org/abs/1708.00489)."""

    def __init__(self, pool: Pool, *, seed: int = 0):
        super().__init__(pool, seed=seed)
        self._near: np.ndarray | None = None
        if len(pool.chosen):
            centres = pool.vectors[pool.chosen].T
            self._near = np.concatenate([(block @ centres).max(1) for block in blocks(pool.vectors)])

    def propose(self, open: np.ndarray) -> int:
        if self._near is None:
            return int(self.rng.choice(np.flatnonzero(open)))
        return best(-self._near, open)

    def take(self, row: int) -> None:
        cosine = self.pool.vectors @ self.pool.vectors[row]
        self._near = cosine if self._near is None else np.maximum(self._near, cosine)


class FacilityLocation(Selector):
    """The row that adds most to how near the pool is to what was chosen: lazy greedy (Minoux 1978).

    A row serves its 32 nearest neighbours, each by its cosine, and nobody else.
    """

    def __init__(self, pool: Pool, *, seed: int = 0):
        from scipy.sparse import csc_array

        super().__init__(pool, seed=seed)
        n, k = len(pool), min(NEIGHBOURS, len(pool))
        cosine, row = Index(pool.vectors).nearest(pool.vectors, k)
        kept = (row >= 0) & (cosine > 0)
        of = np.repeat(np.arange(n), kept.sum(1))
        self._served = csc_array((cosine[kept], (of, row[kept])), shape=(n, n))  # column j: who has j as a neighbour
        self._best = np.zeros(n, np.float32)
        self._bound = np.asarray(self._served.sum(0), np.float64)
        for chosen in pool.chosen:
            self.take(int(chosen))

    def propose(self, open: np.ndarray) -> int:
        while True:  # a gain only shrinks, so an old one is an upper bound
            bound = np.where(open, self._bound, -np.inf)
            row = int(np.argmax(bound))
            who, cosine = self._column(row)
            gain = float(np.maximum(cosine - self._best[who], 0).sum(dtype=np.float64))
            unchanged = gain >= self._bound[row]
            self._bound[row] = gain
            if unchanged:
                return row

    def take(self, row: int) -> None:
        who, cosine = self._column(row)
        self._best[who] = np.maximum(self._best[who], cosine)

    def _column(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        start, end = self._served.indptr[row : row + 2]
        return self._served.indices[start:end], self._served.data[start:end]


class Mixed(Selector):
    """Ours: the likeliest of a rare label, else the smallest margin, each less a little for a twin in the batch.

    Without a model, facility location. docs/design/selection.md says what was tried.
    """

    def __init__(self, pool: Pool, *, seed: int = 0):
        super().__init__(pool, seed=seed)
        self._cold = FacilityLocation(pool, seed=seed) if pool.probabilities is None else None
        if not self._cold:
            score = pool.scores[:, pool.rare] if pool.rare is not None else 1 - _gap(pool)
            self._score = score.astype(np.float64)
            self._bound = self._score.copy()

    def propose(self, open: np.ndarray) -> int:
        if self._cold:
            return self._cold.propose(open)
        while True:  # lazily, as facility location: a score only falls as the batch grows
            row = best(self._bound, open)
            score = self._score[row]
            if self.batch:
                cosine = float((self.pool.vectors[self.batch] @ self.pool.vectors[row]).max())
                score -= SPREAD * max(cosine, 0.0)
            if score >= self._bound[row]:
                return row
            self._bound[row] = score

    def take(self, row: int) -> None:
        super().take(row)
        if self._cold:
            self._cold.take(row)


def _gap(pool: Pool) -> np.ndarray:
    """(n,) in [0, 1]: between the two likeliest labels, or between the rare one and the likeliest other."""
    p = pool.scores
    if pool.rare is not None:
        return np.abs(p[:, pool.rare] - np.delete(p, pool.rare, axis=1).max(1))
    second, first = np.partition(p, -2, axis=1)[:, -2:].T
    return first - second
