"""Generated seeds in a run."""

from __future__ import annotations

from typing import Any

from sparring.context import Context
from sparring.record import Record


def generate(ctx: Context, *, round: int) -> tuple[list[Record], dict[str, Any]]:
    """No generator is configured: nothing is written."""
    return [], {"generated": 0, "accepted": 0, "rejected": {}}
