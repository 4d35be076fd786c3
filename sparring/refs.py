"""References to models and data: `hf://ORG/NAME`, a path, or `pkg://PACKAGE/FILE` (a file inside an installed package)."""

from __future__ import annotations

import importlib.util
import os
import pathlib

from .errors import ReferenceNotFound


def resolve(reference: str, *, base: pathlib.Path | None = None) -> str:
    """A local path, or the hub id of an `hf://` reference. Relative paths count from `base`.

    Raises `ReferenceNotFound` when the file is not there or the package is not installed.
    """
    scheme, _, rest = reference.partition("://")
    if not rest:
        path = pathlib.Path(base or ".", os.path.expanduser(reference))
        if not path.exists():
            raise ReferenceNotFound(f"{reference}: expected a file or folder, found none at {path.resolve()}")
        return str(path)
    if scheme == "hf":
        return rest
    if scheme == "pkg":
        return str(_in_package(reference, rest))
    raise ReferenceNotFound(f"{reference}: expected hf://, pkg:// or a path, got the scheme {scheme!r}")


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
