"""`log.jsonl` in a run folder: a JSON object a line, for machines. No content: numbers, and names in certain fields."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from . import __version__, telemetry

FILE = "log.jsonl"
# Fields that may hold a word; a text of a data set or a model is in none of them.
NAMES = frozenset(
    {"stage", "unit", "segment", "key", "limit", "error", "host", "model", "job", "run", "version", "status", "boot", "code"}
)
# What was found damaged or left behind, and what became of it: a person should hear of it too.
REPAIRS = frozenset(
    {"made_again", "commit_restored", "commit_damaged", "manifest_restored", "lease_taken_over", "ledger_cut", "ledger_damaged",
     "blob_damaged"}
)  # fmt: skip
_NAME = re.compile(r"[\w.:/@+=-]{1,120}")


class Log:
    """Appends events; as a context, how it ended. A line that can't be written (a full disk) is dropped: the work itself says
    what is wrong."""

    def __init__(self, folder: pathlib.Path, *, repaired: Callable[[str], None] = lambda event: None):
        self._repaired = repaired
        self.path, self._started = folder / FILE, time.monotonic()
        self._whole = not self.path.exists()  # a kill may have cut the last line short

    def write(self, event: str, facts: Mapping[str, Any] | None = None) -> None:
        told = {name: value for name, value in (facts or {}).items() if _plain(name, value)}
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "seconds": round(time.monotonic() - self._started, 3),  # since the start; no clock that jumps moves it
            "process": os.getpid(), "event": event, **told,
        }  # fmt: skip
        telemetry.event(event)
        with contextlib.suppress(OSError), open(self.path, "a", encoding="utf-8") as file:
            file.write(("" if self._whole else "\n") + json.dumps(line, ensure_ascii=True) + "\n")
            self._whole = True
        if event in REPAIRS:
            self._repaired(event)

    def __enter__(self) -> Self:
        self.write("started", {"version": __version__})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.write("ended")
        elif kind is not GeneratorExit:  # the message may repeat a user's row: the class and the exit code are enough
            self.write("failed", {"error": kind.__name__, "code": getattr(error, "exit_code", 1)})


def read(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The events, oldest first; a line that a kill cut short is left out."""
    path, found = folder / FILE, []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def _plain(name: str, value: Any) -> bool:
    return (
        value is None
        or isinstance(value, int | float)
        or (name in NAMES and isinstance(value, str) and bool(_NAME.fullmatch(value)))
    )
