"""What the pages of all benchmarks share: the table of goals, numbers, where it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def goals(found: dict[str, Any]) -> str:
    """The figures that have a goal, met or not."""
    rows = []
    for row in found["rows"]:
        if row["ours"] is None:
            continue
        goal = row["goal"]
        met = (
            ""
            if goal is None
            else "yes"
            if (row["ours"] >= goal) == row["higher_is_better"] or row["ours"] == goal
            else "**no**"
        )
        wanted = "" if goal is None else f"{'>=' if row['higher_is_better'] else '<='} {number(goal)}"
        peer = f"{number(row['peer'])} ({row['peer_name']})" if row["peer"] is not None else ""
        rows.append([row["setting"], f"`{row['metric']}`", row["unit"], number(row["ours"]), peer, wanted, met])
    return table(["setting", "figure", "unit", "ours", "best peer", "goal", "met"], rows)


def where(found: dict[str, Any]) -> str:
    said = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    return f"Machine: {said}. Commit {found['commit']}. Times drift between machines; ratios in one run do not.\n"


def number(value: float | None) -> str:
    if value is None:
        return "none"
    return (
        f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}".rstrip("0").rstrip(".")
    )


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"
