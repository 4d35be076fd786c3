"""One `Index` over FAISS for unit vectors: inner product is cosine. In memory or in a folder of shards, memory-mapped."""

from __future__ import annotations

import contextlib
import fcntl
import json
import pathlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from . import disk, mapped
from .errors import DataError

Kind = Literal["flat", "hnsw", "ivf"]
FLAT, HNSW = 1 << 15, 1 << 17  # rows up to which a shard is searched whole, or a graph is built; beyond, cells
SHARD = 1_000_000  # rows at most
_LINKS, _BUILD = 16, 80  # of the graph: neighbours a row, and candidates while building
_ASKED, _NEIGHBOURS = 256, 10  # recall is of so many neighbours of so many of a shard's own rows


@dataclass(frozen=True, slots=True)
class Shard:
    """`effort` is efSearch of a graph or nprobe of cells, 0 where search is exact; `recall` what was measured at it."""

    file: str
    rows: int
    kind: Kind
    effort: int
    recall: float
    bytes: int = 0


class Index:
    """Nearest neighbours and close pairs over (n, d) float32 unit vectors; rows are numbered in the order they came.

    A shard of up to 32,768 rows is searched whole, one of up to 131,072 by a graph (HNSW, Malkov and Yashunin,
    https://arxiv.org/abs/1603.09320), a larger one by cells (IVF); `kind` overrules that. The effort of a search is raised
    until the recall of the 10 nearest neighbours of a shard's own rows is `recall`; what was reached is measured on other
    rows, against exact search: see `recall`. `vectors` may be a memory map.

    Raises `DataError` for vectors that are not of unit length (or zeros), or of another width than the first.
    """

    def __init__(self, vectors: np.ndarray, *, kind: Kind | None = None, recall: float = 0.95, seed: int = 0):
        if vectors.ndim != 2:
            raise DataError(f"expected (n, d) vectors, got shape {vectors.shape}")
        self.size, self.dim, self.model = 0, vectors.shape[1], ""
        self._kind, self._wanted, self._seed = kind, recall, seed
        self._folder: pathlib.Path | None = None
        self._shards: list[Shard] = []
        self._faiss: list[Any] = []
        self.append(vectors)

    @classmethod
    def open(cls, folder: pathlib.Path, *, model: str, recall: float = 0.95, seed: int = 0) -> Index:
        """The index that `save` wrote, memory-mapped; what is appended goes to the folder.

        Raises `DataError` where there is none, where a file is damaged, or where the vectors are another model's.
        """
        told = _read(folder)
        if told["model"] != model:
            raise DataError(
                f"{folder}: expected an index of the vectors of {model!r}, got one of {told['model']!r}. "
                "Fix: name that model, or build the index in another folder"
            )
        index = cls(np.zeros((0, told["dim"]), np.float32), recall=recall, seed=seed)
        index._folder, index.model = folder, model
        for shard in told["shards"]:
            index._keep(Shard(**shard), _load(folder, Shard(**shard), told["dim"]))
        return index

    def save(self, folder: pathlib.Path, *, model: str) -> None:
        """Writes the index to a new folder, where `model` says whose vectors they are; later appends go there too."""
        if (folder / "index.json").exists():
            raise DataError(f"{folder} holds an index already. Fix: open it and append, or give another folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._shards = [_write(folder, i, s, f) for i, (s, f) in enumerate(zip(self._shards, self._faiss, strict=True))]
        self._folder, self.model = folder, model
        self._commit()

    def append(self, vectors: np.ndarray) -> None:
        """Adds rows behind those there are, as shards of their own; in a folder they stand once this returns, all or none."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise DataError(f"expected vectors (n, {self.dim}) as in the index, got shape {vectors.shape}")
        for start, part in mapped.chunks(vectors):
            mapped.expect_unit(part, start)
        with _locked(self._folder) if self._folder else contextlib.nullcontext():
            if self._folder and _read(self._folder)["shards"] != [asdict(s) for s in self._shards]:
                raise DataError(f"{self._folder} was changed by another process meanwhile. Fix: open it again, then append")
            for start in range(0, len(vectors), SHARD):
                shard, made = _build(vectors[start : start + SHARD], self._kind, self._wanted, self._seed)
                if self._folder:
                    shard = _write(self._folder, len(self._shards), shard, made)
                self._keep(shard, made)
            if self._folder:
                self._commit()

    def nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """(cosine, row), each (m, k), best first; -1 as row where there are fewer."""
        queries = self._asked(queries)
        cosine, row = np.full((len(queries), k), -np.inf, np.float32), np.full((len(queries), k), -1)
        for first, made in self._each():
            score, found = made.search(queries, k)
            cosine = np.hstack([cosine, np.where(found < 0, -np.inf, score)])
            row = np.hstack([row, np.where(found < 0, -1, found + first)])
            best = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
            cosine, row = np.take_along_axis(cosine, best, 1), np.take_along_axis(row, best, 1)
        return cosine, row

    def pairs(self, vectors: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """(query row, indexed row) of every pair with cosine > `threshold` that the search meets."""
        queries, asked, found = self._asked(vectors), [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for first, made in self._each():
            limits, _, rows = made.range_search(queries, threshold)
            asked.append(np.repeat(np.arange(len(queries)), np.diff(limits).astype(int)))
            found.append(rows + first)
        return np.concatenate(asked), np.concatenate(found)

    @property
    def kind(self) -> str:
        """`flat`, `hnsw` or `ivf`; several joined by `+` where shards differ."""
        return "+".join(sorted({s.kind for s in self._shards})) or "flat"

    @property
    def recall(self) -> float:
        """Of the 10 nearest neighbours, measured on its own rows against exact search, the mean over all; 1 is exact."""
        return sum(s.recall * s.rows for s in self._shards) / self.size if self.size else 1.0

    def __repr__(self) -> str:
        return f"Index({self.size} x {self.dim}, {self.kind}, shards={len(self._shards)}, recall={self.recall:.3f})"

    def _asked(self, queries: np.ndarray) -> np.ndarray:
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise DataError(f"expected queries (m, {self.dim}) as the vectors in the index, got shape {queries.shape}")
        return np.ascontiguousarray(queries, np.float32)

    def _each(self) -> Iterator[tuple[int, Any]]:
        first = 0
        for shard, made in zip(self._shards, self._faiss, strict=True):
            yield first, made
            first += shard.rows

    def _keep(self, shard: Shard, made: Any) -> None:
        _set(made, shard.kind, shard.effort)
        self._shards.append(shard)
        self._faiss.append(made)
        self.size += shard.rows

    def _commit(self) -> None:
        if self._folder:
            told = {"format": 1, "model": self.model, "dim": self.dim, "shards": [asdict(s) for s in self._shards]}
            disk.put_file(self._folder / "index.json", json.dumps(told, indent=1).encode())


def _build(vectors: np.ndarray, kind: Kind | None, wanted: float, seed: int) -> tuple[Shard, Any]:
    import faiss

    n, dim = vectors.shape
    kind = kind or ("flat" if n <= FLAT else "hnsw" if n <= HNSW else "ivf")
    made: Any
    if kind == "flat":
        made = faiss.IndexFlatIP(dim)
    elif kind == "hnsw":
        made = faiss.IndexHNSWFlat(dim, _LINKS, faiss.METRIC_INNER_PRODUCT)
        made.hnsw.efConstruction = _BUILD
    else:
        cells = max(1, min(round(4 * n**0.5), n // 40))
        made = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, faiss.METRIC_INNER_PRODUCT)
        made.cp.seed, made.cp.min_points_per_centroid = seed, 1
        shown = np.sort(np.random.default_rng(seed).choice(n, min(n, 48 * cells), replace=False))
        made.train(mapped.take(vectors, shown))
    for _, part in mapped.chunks(vectors):
        made.add(np.ascontiguousarray(part))
    effort, recall = (0, 1.0) if kind == "flat" else _tune(made, vectors, kind, wanted, seed)
    return Shard("", n, kind, effort, recall), made


def _tune(made: Any, vectors: np.ndarray, kind: Kind, wanted: float, seed: int) -> tuple[int, float]:
    """The least effort (a power of two) of the wanted recall on half of the rows asked, and the recall on the other half."""
    rows = np.random.default_rng(seed).choice(len(vectors), min(len(vectors), 2 * _ASKED), replace=False)
    queries, k = mapped.take(vectors, rows), min(_NEIGHBOURS, len(vectors))
    last = _exact(vectors, queries, k)[:, -1:] - 1e-6  # by cosine, not by row: copies are as good as one another
    half, most = len(rows) // 2, made.nlist if kind == "ivf" else len(vectors)
    effort = k if kind == "hnsw" else 1
    while True:
        _set(made, kind, effort)
        hit = (made.search(queries, k)[0] >= last).mean(1)
        if hit[:half].mean() >= wanted or effort >= most:
            return effort, float(hit[half:].mean())
        effort = min(2 * effort, most)


def _exact(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """(m, k) cosines of the nearest, best first."""
    best = np.zeros((len(queries), 0), np.float32)
    for _, part in mapped.chunks(vectors):
        both = np.hstack([best, queries @ part.T])
        best = -np.sort(np.partition(-both, min(k, both.shape[1]) - 1, axis=1)[:, :k], axis=1)
    return best


def _set(made: Any, kind: Kind, effort: int) -> None:
    if kind == "hnsw":
        made.hnsw.efSearch = effort
    elif kind == "ivf":
        made.nprobe = effort


def _read(folder: pathlib.Path) -> dict[str, Any]:
    path = folder / "index.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder}: expected an index (index.json), found none. Fix: build one and `save` it there") from None
    except ValueError:
        raise DataError(f"{path}: expected JSON, it is damaged. Fix: build the index again") from None
    return dict(told)


def _load(folder: pathlib.Path, shard: Shard, dim: int) -> Any:
    import faiss

    path, fix = folder / shard.file, "Fix: remove the folder and build the index again"
    size = path.stat().st_size if path.exists() else 0
    if size != shard.bytes:
        raise DataError(f"{path}: expected {shard.bytes} bytes, got {size}: the file is cut short or another's. {fix}")
    try:
        made = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:  # what faiss raises for any file that it cannot make out
        raise DataError(f"{path}: expected an index, faiss cannot read it ({str(error)[-80:]}). {fix}") from None
    if (made.ntotal, made.d) != (shard.rows, dim):
        raise DataError(f"{path}: expected {shard.rows} x {dim} vectors, got {made.ntotal} x {made.d}. {fix}")
    return made


def _write(folder: pathlib.Path, number: int, shard: Shard, made: Any) -> Shard:
    """The shard's file, whole or not there; one that no index.json names is written over."""
    import faiss

    name = f"shard-{number:06d}.faiss"
    disk.put_file(folder / name, faiss.serialize_index(made).data)
    return Shard(name, shard.rows, shard.kind, shard.effort, shard.recall, (folder / name).stat().st_size)


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[None]:
    with (folder / ".lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel drops it when the holder dies
        yield
