"""References to models and data: `hf://ORG/NAME`, a path, or `pkg://PACKAGE/FILE` (a file inside an installed package). Of a
data set on the hub also a revision and a file, as fsspec writes them: `hf://datasets/ORG/NAME@v3/data/train.parquet`."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import pathlib
import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import metadata

from . import disk
from .errors import ReferenceNotFound

_base: ContextVar[pathlib.Path] = ContextVar("base")
_HUB = re.compile(
    r"hf://(?:datasets/)?(?P<name>[^/@]+(?:/[^/@]+)?)(?:@(?P<revision>refs/[^/]+/[^/]+|[^/]+))?(?:/(?P<file>.+))?"
)


@dataclass(frozen=True, slots=True)
class Data:
    """`place` is a path, or the hub id of a data set at `revision`."""

    place: str
    revision: str | None = None
    remote: bool = False


@contextlib.contextmanager
def relative_to(base: pathlib.Path) -> Iterator[None]:
    """Within the block relative paths count from `base`, whoever resolves them: a job's parts from the job's folder.

    The references themselves stay as they were written, so that no key and no saved setting names a folder of this machine.
    """
    token = _base.set(base)
    try:
        yield
    finally:
        _base.reset(token)


def base() -> pathlib.Path:
    """Where relative paths count from now: for who resolves a reference later, when the block may be over."""
    return _base.get(pathlib.Path())


def resolve(reference: str, *, base: pathlib.Path | None = None) -> str:
    """A local path, or the hub id of an `hf://` reference.

    Relative paths count from `base`; without it from that of `relative_to`, and outside of one from the working directory.
    Raises `ReferenceNotFound` when the file is not there or the package is not installed.
    """
    scheme, _, rest = reference.partition("://")
    if not rest:
        path = pathlib.Path(base or _base.get(pathlib.Path()), os.path.expanduser(reference))
        if not path.exists():
            raise ReferenceNotFound(f"{reference}: expected a file or folder, found none at {path.resolve()}")
        return str(path)
    if scheme == "hf":
        return rest
    if scheme == "pkg":
        return str(_in_package(reference, rest))
    raise ReferenceNotFound(f"{reference}: expected hf://, pkg:// or a path, got the scheme {scheme!r}")


def data(reference: str, *, base: pathlib.Path | None = None) -> Data:
    """Where a data set stands. A file of one on the hub is brought into the client's own cache: its path.

    Raises `ReferenceNotFound` as `resolve` does, and for a file that the hub does not give.
    """
    if not reference.startswith("hf://"):
        return Data(resolve(reference, base=base))
    if not (found := _HUB.fullmatch(reference)):
        raise ReferenceNotFound(f"{reference}: expected hf://datasets/ORG/NAME, with @REVISION or /FILE behind it if need be")
    if not found["file"]:
        return Data(found["name"], found["revision"], remote=True)
    from huggingface_hub import hf_hub_download

    try:
        return Data(hf_hub_download(found["name"], found["file"], repo_type="dataset", revision=found["revision"]))
    except (OSError, ValueError) as error:  # the client's own are both
        raise missing(reference, error) from None


def missing(reference: str, error: Exception) -> ReferenceNotFound:
    """Of a data set that the hub does not give, for whatever reason."""
    why = next(iter(str(error).strip().splitlines()), type(error).__name__)
    fix = "see the name, `hf auth login`, and that HF_HUB_OFFLINE is not set"
    return ReferenceNotFound(f"{reference}: expected a data set on the hub: {why} Fix: {fix}")


@contextlib.contextmanager
def loading(place: str, holds: str) -> Iterator[None]:
    """Turns what transformers raises in the block, of a model that it cannot load, into `ReferenceNotFound`; `holds` says what
    a folder of it has."""
    try:
        yield
    except (OSError, ValueError) as error:
        why = str(error).strip().partition("\n")[0]
        fix = f"give a folder with {holds}" if pathlib.Path(place).exists() else f"with a network, once: hf download {place}"
        raise ReferenceNotFound(f"{place}: expected a transformers model in safetensors: {why} Fix: {fix}") from error


def installed(package: str) -> str | None:
    """The version of a package as pip names it; None where it is not there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def content(reference: str, *, base: pathlib.Path | None = None) -> str | None:
    """The hash of what a reference stands for on this disk; None for a model on the hub, whose files are not ours."""
    return None if reference.startswith("hf://") else content_hash(pathlib.Path(resolve(reference, base=base)))


def content_hash(path: pathlib.Path) -> str:
    """24 hex digits over a file, or over the names and contents of a folder's files. About a second a gigabyte."""
    files = disk.files(path)
    facts = [(file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return _content_hash(path.resolve(), tuple((str(f.relative_to(path)), *fact) for f, fact in zip(files, facts, strict=True)))


@functools.cache  # within a process, files of the same size and time are the same
def _content_hash(path: pathlib.Path, files: tuple[tuple[str, int, int], ...]) -> str:
    total = hashlib.blake2b(digest_size=12)
    for name, _, _ in files:
        with (path / name).open("rb") as stream:
            total.update(pathlib.PurePath(name).as_posix().encode() + hashlib.file_digest(stream, "blake2b").digest())
    return total.hexdigest()


def _in_package(reference: str, rest: str) -> pathlib.Path:
    package, _, inner = rest.partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        name = package.replace("_", "-")
        raise ReferenceNotFound(f"{reference}: the Python package {package} is not installed. Fix: pip install {name}")
    path = pathlib.Path(spec.submodule_search_locations[0]) / inner
    if not path.exists():
        raise ReferenceNotFound(f"{reference}: the package {package} holds no {inner}")
    return path
