"""Embeddings kept on disk by the content of their text and the model: what was embedded once is read from then on."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import uuid
from collections.abc import Sequence

import numpy as np

from . import engines, refs
from .embed import unit
from .engines.work import Embedding
from .errors import DataError, ReferenceNotFound
from .protocols import Embedder
from .spool import parts

DIGEST = 16  # bytes of a text's hash
BATCH = 4096  # new texts between two writes, at most: what a killed process has to embed again
CHARACTERS = 1 << 23  # of them


class Stored:
    """An embedder that asks the one behind it once for each text, whichever process or run asks.

    Each model has a subfolder, by its name, its width and, where its name is a path, the content of its files: another
    model, or other weights under the same path, miss. In it a shard is a pair of files, `KEY.npy` (n, d) float32,
    memory-mapped, and `KEY.digests.npy`, (n,) 16-byte hashes of the texts; a shard counts once the second stands, so that
    one half-written by a killed process is ignored, and several processes may write at once.

    Raises `DataError` for a shard that is damaged, and for a subfolder that says it is another model's.
    """

    def __init__(self, inner: Embedder, folder: pathlib.Path):
        self.name, self.dim, self._inner = inner.name, inner.dim, inner
        self.model = identity(inner)
        self.folder = folder / hashlib.blake2b(self.model.encode(), digest_size=8).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._claim()
        self._shards: list[np.ndarray] = []
        self._known: set[str] = set()  # keys of the shards that were read
        self._digests = np.zeros(0, f"S{DIGEST}")  # sorted
        self._places = np.zeros((0, 2), np.int64)  # shard and row of each
        self.refresh()

    def __len__(self) -> int:
        """Texts that it knows."""
        return len(self._digests)

    def refresh(self) -> None:
        """Reads the shards that other processes have written since."""
        digests, places = [self._digests], [self._places]
        for path in sorted(self.folder.glob("*.digests.npy")):
            key = path.name.removesuffix(".digests.npy")
            if key not in self._known:
                found = _load(path, (None,), np.dtype(f"S{DIGEST}"))
                self._shards.append(_load(self.folder / f"{key}.npy", (len(found), self.dim), np.dtype(np.float32)))
                self._known.add(key)
                digests.append(found)
                places.append(np.stack([np.full(len(found), len(self._shards) - 1), np.arange(len(found))], 1))
        if len(digests) > 1:
            self._digests, first = np.unique(np.concatenate(digests), return_index=True)
            self._places = np.concatenate(places)[first]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32 unit rows, in the order of the texts, of which only a part is held at a time."""
        raw, length = bytearray(), np.zeros(len(texts), np.int64)
        for i, text in enumerate(texts):
            raw += _digest(text)
            length[i] = len(text)
        wanted = np.frombuffer(raw, f"S{DIGEST}")
        digests, first = np.unique(wanted, return_index=True)
        fresh = np.sort(first[self._find(digests) < 0])
        rows = [fresh[part].tolist() for part in parts(length[fresh] + CHARACTERS // BATCH, CHARACTERS)]
        pieces = ([texts[i] for i in part] for part in rows)
        for number, vectors in engines.current().each(Embedding(self._inner), pieces):
            self._write(wanted[rows[number]], unit(vectors))
        if len(fresh):
            self.refresh()
        out = np.empty((len(texts), self.dim), np.float32)
        shard, row = self._places[self._find(wanted)].T if len(texts) else np.zeros((2, 0), np.int64)
        for i in np.unique(shard):
            out[shard == i] = self._shards[i][row[shard == i]]
        return out

    def _find(self, wanted: np.ndarray) -> np.ndarray:
        """Where each digest stands, -1 for an unknown one."""
        at = np.searchsorted(self._digests, wanted)
        known = at < len(self._digests)
        known[known] = self._digests[at[known]] == wanted[known]
        return np.where(known, at, -1)

    def _write(self, digests: np.ndarray, vectors: np.ndarray) -> None:
        key = uuid.uuid4().hex
        _save(self.folder / f"{key}.npy", vectors.astype(np.float32))
        _save(self.folder / f"{key}.digests.npy", digests)

    def _claim(self) -> None:
        path, mine = self.folder / "model.json", {"model": self.model, "dim": self.dim}
        if not path.exists():
            aside = path.with_name(f".{uuid.uuid4().hex}")
            aside.write_text(json.dumps(mine), encoding="utf-8")
            os.replace(aside, path)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = "a damaged model.json"
        if found != mine:
            raise DataError(f"{path}: expected embeddings of {mine}, found {found}. Fix: remove {self.folder}")


def identity(embedder: Embedder) -> str:
    """The name of an embedder and its width, with the content hash of its files where the name is a path or `pkg://`."""
    name = embedder.name
    try:
        content = None if name.startswith("hf://") else refs.content(name)
    except ReferenceNotFound:
        content = None  # a name that is no path
    return f"{name} {embedder.dim}" + (f" {content}" if content else "")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST).digest()


def _save(path: pathlib.Path, array: np.ndarray) -> None:
    aside = path.with_name(f"{path.name}.aside")
    with aside.open("wb") as stream:
        np.save(stream, array)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(aside, path)


def _load(path: pathlib.Path, shape: tuple[int | None, ...], dtype: np.dtype) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:  # numpy's for a file that is cut short, empty, gone or no array
        found = str(error)
    if isinstance(found, np.ndarray) and found.dtype == dtype and len(shape) == found.ndim:
        if all(wanted in (None, size) for wanted, size in zip(shape, found.shape, strict=True)):
            return found
        found = f"shape {found.shape}"
    said = found if isinstance(found, str) else f"{found.dtype} of shape {found.shape}"
    raise DataError(
        f"{path}: expected {dtype} of shape {shape}, got {said}. Fix: remove the file; its texts are embedded again"
    )
