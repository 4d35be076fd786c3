"""Texts or files that may be more than memory holds: they stand in a file, and a row of it is read when it is asked for."""

from __future__ import annotations

import os
import pathlib
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np

Item = TypeVar("Item", str, bytes)
HELD = 1 << 20  # bytes that wait to be written, and of a batch


class Spool(Sequence[Item], Generic[Item]):
    """(n,) texts, or bytes, in a file without a name that goes when the last `Spool` over it does; 16 bytes a row in memory.

    It is filled with `add`, then read like any sequence. `folder` is where the file stands, by default the system's for such
    files; one in memory (`/tmp` may be) gives nothing away. Reads are by place, so that several threads may read.
    """

    def __init__(self, items: Iterable[Item] = (), *, folder: pathlib.Path | None = None):
        self._file: Any = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (it goes with the object)
        self._waiting: list[bytes] = []
        self._held, self._end, self._text = 0, 0, True
        self._start: Any = array("q")
        self._size: Any = array("q")
        for item in items:
            self.add(item)

    def add(self, item: Item) -> None:
        self._text = isinstance(item, str)
        raw = item.encode("utf-8", "surrogatepass") if isinstance(item, str) else item
        self._start.append(self._end)
        self._size.append(len(raw))
        self._waiting.append(raw)
        self._held += len(raw)
        self._end += len(raw)
        if self._held > HELD:
            self._write()

    def taken(self, rows: np.ndarray) -> Spool[Item]:
        """Rows of it, in that order; over the same file."""
        self._write()
        out: Spool[Item] = object.__new__(type(self))
        out._file, out._text, out._waiting, out._held, out._end = self._file, self._text, [], 0, self._end
        out._start, out._size = np.asarray(self._start)[rows], np.asarray(self._size)[rows]
        return out

    @property
    def sizes(self) -> np.ndarray:
        """(n,) int64 bytes."""
        return np.array(self._size, np.int64)

    def __len__(self) -> int:
        return len(self._start)

    @overload
    def __getitem__(self, row: int) -> Item: ...
    @overload
    def __getitem__(self, row: slice) -> list[Item]: ...
    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        self._write()
        raw = os.pread(self._file.fileno(), int(self._size[row]), int(self._start[row]))
        return raw.decode("utf-8", "surrogatepass") if self._text else raw

    def __iter__(self) -> Iterator[Item]:
        return (self[i] for i in range(len(self)))

    def _write(self) -> None:
        if self._waiting:
            self._file.write(b"".join(self._waiting))
            self._file.flush()
            self._waiting, self._held = [], 0


def parts(sizes: np.ndarray, most: int) -> Iterator[slice]:
    """Consecutive rows whose `sizes` (n,) come to at most `most`, or a single larger one."""
    ends, first = np.cumsum(sizes), 0
    while first < len(ends):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + most, "right")))
        yield slice(first, last)
        first = last
