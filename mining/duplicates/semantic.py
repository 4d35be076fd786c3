from __future__ import annotations

import numpy as np

from sparring.index import Index


def near_duplicate_groups(vectors: np.ndarray, threshold: float = 0.95) -> np.ndarray:
    """(n,) int: -1 for a row without a near duplicate, else the number of its group.

    Pairs of (n, d) unit vectors with cosine > `threshold`, verified exactly; a group is a connected component and only
    names its rows: nothing is removed because a chain of others lies between.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if not len(vectors):
        return np.zeros(0, np.int64)
    row, column = Index(vectors).pairs(vectors, threshold)
    row, column = row[row != column], column[row != column]
    graph = coo_matrix((np.ones(len(row), np.int8), (row, column)), shape=(len(vectors),) * 2)
    component = connected_components(graph, directed=False)[1]
    size = np.bincount(component)
    number = np.cumsum(size > 1) - 1
    return np.where(size[component] > 1, number[component], -1)
