"""One `Index` over FAISS for unit vectors: inner product is cosine."""

from __future__ import annotations

from typing import Any

import numpy as np


class Index:
    """Exact search over (n, d) float32 unit vectors."""

    def __init__(self, vectors: np.ndarray):
        import faiss

        self.size, self.dim = vectors.shape
        self._faiss: Any = faiss.IndexFlatIP(self.dim)
        self._faiss.add(np.ascontiguousarray(vectors, np.float32))

    def nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(cosine, row), each (m, k), best first; -1 as row where there are fewer."""
        cosine, row = self._faiss.search(np.ascontiguousarray(queries, np.float32), k)
        return cosine, row

    def pairs(self, vectors: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """(query row, indexed row) of every pair with cosine > `threshold`."""
        limits, _, found = self._faiss.range_search(np.ascontiguousarray(vectors, np.float32), threshold)
        return np.repeat(np.arange(len(vectors)), np.diff(limits).astype(int)), found
