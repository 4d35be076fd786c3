"""Name -> factory for every part. A distribution offers its parts through one entry point of the group
`sparring.parts`, a table `{kind: {name: "module:attribute"}}`; ours do the same. Nothing is imported until it is made."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import re
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from .errors import JobError


@functools.cache
def table() -> dict[str, dict[str, str]]:
    """kind -> name -> "module:attribute", over every installed distribution; the first to claim a name keeps it."""
    merged: dict[str, dict[str, str]] = {}
    for entry in sorted(entry_points(group="sparring.parts"), key=lambda e: (e.name != "sparring", e.name)):
        for kind, parts in entry.load().items():
            for name, where in parts.items():
                merged.setdefault(kind, {}).setdefault(name, where)
    return merged


def names(kind: str) -> list[str]:
    return sorted(table().get(kind, {}))


def find(kind: str, name: str) -> Any:
    """The class or function behind a name, imported now."""
    known = table().get(kind, {})
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise JobError(f"expected a {kind} out of {', '.join(sorted(known))}; got {name!r}.{hint}")
    module, _, attribute = known[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def about(kind: str, name: str) -> dict[str, Any]:
    """One part for a listing: the first line of its docstring, and its capability flags."""
    part = find(kind, name)
    flags = [flag for flag in ("family", "trainable", "gradients") if getattr(part, flag, None)]
    shown = [flag if getattr(part, flag) is True else f"{flag}={getattr(part, flag)}" for flag in flags]
    if getattr(part, "undone_by", None):
        shown.append(f"undone by {part.undone_by}")
    return {"kind": kind, "name": name, "about": (part.__doc__ or "").strip().partition("\n")[0], "flags": shown}


def settings(kind: str, given: Any) -> dict[str, Any]:
    """What a job says of a part inside another's settings: a mapping with `kind`, or a bare name for one with its defaults."""
    if isinstance(given, str):
        return {"kind": given}
    if isinstance(given, Mapping) and isinstance(given.get("kind"), str):
        return dict(given)
    raise JobError(f"expected a {kind} as a name, or as settings with `kind`; got {given!r}")


def flagged(kind: str, flag: str) -> list[str]:
    """The parts of a kind that have a capability."""
    return [name for name in names(kind) if getattr(find(kind, name), flag, False)]


def family(step: str) -> str:
    """The family of one step of a sample's making: its operator's, or that which the attack states that makes it itself."""
    for kind in ("operator", "image_operator"):
        if step in table().get(kind, {}):
            return str(find(kind, step).family)
    attacks = [(kind, name) for kind in ("attack", "image_attack") for name in names(kind)]
    made = (getattr(find(kind, name), "makes", {}) for kind, name in attacks)
    return next((steps[step] for steps in made if step in steps), step)


def takes(kind: str, name: str) -> frozenset[str]:
    """The settings that a part knows."""
    part = find(kind, name)
    declared = getattr(part, "Settings", None)
    return frozenset(declared.model_fields if declared else inspect.signature(part).parameters)


def offered(kind: str, name: str, offers: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `offers` that a part knows as settings: its author declares what it wants, and gets no more."""
    known = takes(kind, name)
    return {setting: value for setting, value in offers.items() if setting in known}


def make(kind: str, name: str, /, **settings: Any) -> Any:
    """A part with its settings; an unknown setting is the user's error, named with those that exist."""
    part = find(kind, name)
    try:
        return part(**settings)
    except TypeError as error:
        if not re.search("unexpected keyword argument|missing .* required|takes no arguments", str(error)):
            raise
        raise JobError(f"{kind} {name!r}: {error}; see `sparring parts --kind {kind}`") from error
