"""A small part of JSONPath (RFC 9535), enough to say where in an answer a score stands:

    name  .name  ["any name"]   a key of an object; a bare name runs up to the next `.` or `[`
    [0]  [-1]                   an element of an array
    [*]                         every element of an array, in order; at most once in a path
    [name=value]                the first element of an array that is an object with this key and this value, as text

There are no slices, no recursion, no arithmetic. A leading `$` may stand there or not.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(
    r"""\.?(?P<name>[^.\[\]]+) | \[(?: (?P<number>-?\d+) | (?P<all>\*) | (?P<quoted>"(?:[^"\\]|\\.)*")
        | (?P<key>[^\]="*]+)=(?P<value>[^\]]*) )\]""",
    re.VERBOSE,
)
ALL = object()  # the step [*]


class NotThere(LookupError):
    """The answer has nothing at a path; says where it ends and, of what is there, keys and lengths only."""


@dataclass(frozen=True, slots=True)
class Where:
    """The first element whose `key` is `value`."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Path:
    """`steps` are keys (str), positions (int), conditions, and `ALL`."""

    text: str
    steps: tuple[Any, ...]

    @property
    def many(self) -> bool:
        return any(step is ALL for step in self.steps)

    def find(self, answer: Any) -> Any:
        """What stands there; a list where the path has `[*]`. Raises `NotThere`."""
        return _find(answer, self.steps, self.text)


def parse(text: str) -> Path:
    """Raises `ValueError` with what is wrong."""
    rest = text.removeprefix("$")
    steps: list[Any] = []
    while rest:
        step = _STEP.match(rest)
        if not step:
            raise ValueError(f'expected .name, ["name"], [0], [*] or [name=value] at {rest!r} in the path {text!r}')
        if step["number"] is not None:
            steps.append(int(step["number"]))
        elif step["key"] is not None:
            steps.append(Where(step["key"].strip(), step["value"].strip().strip('"')))
        else:
            steps.append(ALL if step["all"] else json.loads(step["quoted"]) if step["quoted"] else step["name"])
        rest = rest[step.end() :]
    if sum(s is ALL for s in steps) > 1:
        raise ValueError(f"expected [*] at most once in the path {text!r}")
    return Path(text, tuple(steps))


def _find(place: Any, steps: tuple[Any, ...], text: str) -> Any:
    for number, step in enumerate(steps):
        if step is ALL:
            if not isinstance(place, list):
                raise NotThere(f"{text}: expected an array for [*], found {_kind(place)}")
            return [_find(each, steps[number + 1 :], text) for each in place]
        if isinstance(step, Where):
            elements = place if isinstance(place, list) else []
            found = [e for e in elements if isinstance(e, dict) and str(e.get(step.key)) == step.value]
        elif isinstance(step, int):
            found = [place[step]] if isinstance(place, list) and -len(place) <= step < len(place) else []
        else:
            found = [place[step]] if isinstance(place, dict) and step in place else []
        if not found:
            said = f"[{step.key}={step.value}]" if isinstance(step, Where) else repr(step)
            raise NotThere(f"{text}: found no {said} in {_kind(place)}")
        place = found[0]
    return place


def _kind(place: Any) -> str:
    """Never a value: it may repeat what was sent."""
    if isinstance(place, dict):
        return f"an object with the keys {', '.join(map(str, place))[:200] or '(none)'}"
    return f"an array of {len(place)}" if isinstance(place, list) else type(place).__name__
