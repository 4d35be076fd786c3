"""Unit vectors with planted near duplicates, on disk: uneven clusters of low rank, as embeddings of real data have them."""

from __future__ import annotations

import pathlib

import numpy as np

CLUSTERS, RANK, FRAMES, CHUNK = 2000, 24, 50, 50_000


def write(path: pathlib.Path, n: int, *, dim: int = 384, planted: float = 0.02, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Writes (n, dim) float32 to `path` (.npy); the rows copied and their copies (cosine about 0.98), `planted` of n each."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CLUSTERS, dim)).astype(np.float32)
    frames = rng.standard_normal((FRAMES, RANK, dim)).astype(np.float32) / np.sqrt(RANK)
    cluster = rng.choice(CLUSTERS, n, p=rng.dirichlet(np.full(CLUSTERS, 0.5)))
    x = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, dim))
    for start in range(0, n, CHUNK):
        own = cluster[start : start + CHUNK]
        latent = rng.standard_normal((len(own), RANK)).astype(np.float32)
        rows = 0.7 * centres[own] + 0.15 * rng.standard_normal((len(own), dim)).astype(np.float32)
        for frame in range(FRAMES):
            inside = own % FRAMES == frame
            rows[inside] += latent[inside] @ frames[frame]
        x[start : start + len(own)] = _unit(rows)
    order, copies = rng.permutation(n), int(planted * n)
    source, copy = order[:copies], order[copies : 2 * copies]
    x[copy] = _unit(x[source] + 0.01 * rng.standard_normal((copies, dim)).astype(np.float32))
    x.flush()
    return source, copy


def _unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
