"""A folder at an fsspec URL (`s3://bucket/runs`): an object store, where nothing is renamed, appended to or locked."""

from __future__ import annotations

import contextlib
import errno
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

from .errors import JobError, MissingExtra, UserError

SCHEMES = {"s3": "s3fs", "memory": "fsspec", "file": "fsspec"}  # and the package behind each


class Place:
    """Objects by name under a URL. Who may read and write it, and at which endpoint, the environment says (for S3
    AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and what else its clients read): no job holds a key.

    Needs a store that can put an object only if it is absent, as S3 (If-None-Match) and its like do.
    """

    def __init__(self, url: str):
        scheme = url.partition("://")[0]
        if scheme == "hf":
            raise JobError(
                "expected a store to work in, got hf://, where each write is a commit that stays for ever and commits are "
                "rationed; a run writes its lease every 5 s. Fix: s3:// or a path; data are read from hf://, and "
                "`sparring publish` writes there"
            )
        if scheme not in SCHEMES:
            raise JobError(f"expected {', '.join(f'{name}://' for name in sorted(SCHEMES))} or a path; got {scheme}://")
        from fsspec.core import url_to_fs

        try:
            self._fs, root = url_to_fs(url, use_listings_cache=False) if scheme == "s3" else url_to_fs(url)
        except ImportError:
            raise MissingExtra(f"A folder at {scheme}://", SCHEMES[scheme], "s3") from None
        self.url, self._root = url.rstrip("/"), root.rstrip("/")
        self._made: set[str] = set()
        self._lost: tuple[type[Exception], ...] = ()
        if scheme == "s3":
            from botocore.exceptions import BotoCoreError

            self._lost = (BotoCoreError,)

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        """A store that can't be reached is a disk that fails, and what was committed stays."""
        try:
            yield
        except self._lost as error:
            raise OSError(errno.EIO, f"expected an answer of the store, got {type(error).__name__}", self.url) from error

    def __truediv__(self, name: str) -> Place:
        return Place(f"{self.url}/{name}")

    def put(self, name: str, data: bytes) -> None:
        with self._reached():
            self._fs.pipe_file(self._path(name), data)

    def put_new(self, name: str, data: bytes) -> bool:
        """False where the object is there already: of several writers one alone succeeds."""
        try:
            with self._reached():
                self._fs.pipe_file(self._path(name), data, mode="create")
        except FileExistsError:
            return False
        return True

    def upload(self, name: str, path: pathlib.Path) -> None:
        with self._reached():
            self._fs.put_file(str(path), self._path(name))

    def get(self, name: str) -> bytes | None:
        try:
            with self._reached():
                return bytes(self._fs.cat_file(self._path(name)))
        except FileNotFoundError:
            return None

    def download(self, name: str, path: pathlib.Path) -> None:
        """Raises `FileNotFoundError`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._reached():
            self._fs.get_file(self._path(name), str(path))

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                with self._reached():
                    self._fs.rm_file(self._path(name))
            except FileNotFoundError:
                continue

    def names(self, under: str = "") -> list[str]:
        """Of all objects, in order; names count from the place itself."""
        with self._reached():
            found: Any = self._fs.find(f"{self._root}/{under}".rstrip("/"))
        return sorted(path[len(self._root) + 1 :] for path in found)

    def folders(self) -> list[str]:
        """Names one level below."""
        try:
            with self._reached():
                return sorted({str(path).rstrip("/").rpartition("/")[2] for path in self._fs.ls(self._root, detail=False)})
        except FileNotFoundError:
            return []

    def check(self) -> None:
        """Raises `UserError` where it can't be had: no such bucket, no access."""
        bucket = self._root.partition("/")[0]
        try:
            with self._reached():
                if bucket:
                    self._fs.ls(bucket)
        except FileNotFoundError:
            raise UserError(f"{self.url}: expected a store, found none named {bucket!r}. Fix: make it") from None
        except PermissionError:
            raise UserError(f"{self.url}: expected to be let in. Fix: the keys in the environment") from None

    def _path(self, name: str) -> str:
        path = f"{self._root}/{name}"
        folder = path.rpartition("/")[0]
        if self._fs.protocol in ("file", ("file", "local")) and folder not in self._made:
            self._fs.makedirs(folder, exist_ok=True)
            self._made.add(folder)
        return path
