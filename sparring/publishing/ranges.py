"""A file on the hub that is read by pieces: of a parquet file, its foot and the columns that are wanted."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

Fetch = Callable[[int, int], bytes]  # bytes from `start` up to `stop`


class Ranges(io.RawIOBase):
    def __init__(self, fetch: Fetch, size: int):
        self._fetch, self._size, self._at = fetch, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        stop = self._size if size < 0 else min(self._at + size, self._size)
        found = self._fetch(self._at, stop) if stop > self._at else b""
        self._at += len(found)
        return found

    def readinto(self, buffer: Any) -> int:
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)
