"""YAML in, a checked pydantic model out; a person's mistake becomes one line with the nearest known key."""

from __future__ import annotations

import difflib
import pathlib
from typing import Any, TypeVar, get_args

import pydantic
import yaml

from .errors import UserError

Model = TypeVar("Model", bound=pydantic.BaseModel)


def read_model(model: type[Model], path: pathlib.Path, error: type[UserError]) -> Model:
    """Reads `path` as `model`; raises `error` with file, key, what was expected, what came."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise error(f"{path}: expected a file, found none. Fix: check the path (relative to {pathlib.Path.cwd()})") from None
    except (IsADirectoryError, PermissionError) as fault:
        raise error(f"{path}: expected a readable file: {fault.strerror}") from None
    except UnicodeDecodeError:
        raise error(f"{path}: expected UTF-8 text, found other bytes. Fix: save the file as UTF-8") from None
    except yaml.YAMLError as fault:
        where = getattr(fault, "problem_mark", None)
        place = f" line {where.line + 1}" if where else ""
        raise error(f"{path}{place}: expected YAML: {getattr(fault, 'problem', fault)}") from None
    if not isinstance(found, dict):
        raise error(f"{path}: expected keys and values, found {type(found).__name__}")
    return parse(model, found, str(path), error)


def parse(model: type[Model], found: dict[str, Any], name: str, error: type[UserError]) -> Model:
    """`found` as `model`; every fault in one message, a line each."""
    try:
        return model.model_validate(found)
    except pydantic.ValidationError as faults:
        raise error("\n".join(_line(model, fault, name) for fault in faults.errors())) from None


def _line(model: type[pydantic.BaseModel], fault: Any, name: str) -> str:
    place = ".".join(str(p) for p in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _keys(model, fault["loc"][:-1])
        near = difflib.get_close_matches(str(fault["loc"][-1]), known, 1)
        fix = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return f"{name}: unknown key {place!r}; {fix}"
    if fault["type"] == "missing":
        return f"{name}: expected the key {place!r}, found none"
    came = "" if isinstance(fault["input"], dict) else f"; got {str(fault['input'])[:80]!r}"
    return f"{name}: {place or 'file'}: {fault['msg'].removeprefix('Value error, ')}{came}"


def _keys(model: Any, loc: tuple[Any, ...]) -> list[str]:
    """The known keys at a place of a nested model; list positions and union tags are stepped over."""
    if not (isinstance(model, type) and issubclass(model, pydantic.BaseModel)):
        found = [k for inner in get_args(model) for k in _keys(inner, loc)]
        return list(dict.fromkeys(found))
    if not loc:
        return list(model.model_fields)
    for i, key in enumerate(loc):
        if key in model.model_fields:
            return _keys(model.model_fields[key].annotation, tuple(p for p in loc[i + 1 :] if not isinstance(p, int)))
    return list(model.model_fields)
