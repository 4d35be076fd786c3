"""docs/operations.md has an entry for every alarm that the code can raise."""

from __future__ import annotations

import pathlib
import re

from sparring import errors, http, log

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_error_and_its_exit_code_are_there():
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.SparringError)]
    for error in [*classes, http.NoReply]:
        rows = [line for line in PAGE.splitlines() if f"`{error.__name__}`" in line and line.startswith("|")]
        assert rows, error.__name__
        assert any(f"| {error.exit_code} |" in line for line in rows), error.__name__


def test_every_event_of_the_log_is_there():
    written = set(log.REPAIRS)
    for path in (ROOT / "sparring").rglob("*.py"):
        written |= set(re.findall(r"""(?:\.write|told|_told)\(\s*"([a-z_]+)",? ?[\w{)]""", path.read_text(encoding="utf-8")))
    assert {"started", "ended", "failed", "unit", "limit_reached", "progress"} <= written
    for event in written:
        assert f"`{event}`" in PAGE, event
