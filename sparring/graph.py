"""Rows joined by pairs."""

from __future__ import annotations

import numpy as np


def components(row: np.ndarray, other: np.ndarray, n: int) -> np.ndarray:
    """(n,) int: the connected component of each of n rows that pairs join, numbered by first appearance."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not n:
        return np.zeros(0, np.int64)
    graph = coo_matrix((np.ones(len(row), np.int8), (row, other)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1])
