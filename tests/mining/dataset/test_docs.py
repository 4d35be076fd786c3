"""docs/mining.md names the columns, verdicts and actions that there are."""

from __future__ import annotations

import pathlib
import re

from mining.dataset.report import MEANINGS
from mining.dataset.result import ACTIONS, NEIGHBOUR, SCHEMA

ROOT = pathlib.Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "mining.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    part = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| `")]


def test_the_table_has_the_columns_of_the_schema_in_order_with_their_types():
    told = [(name, kind) for cells in rows("Columns of `mined.parquet`") for name in re.findall(r"`(\w+)`", cells[0])
            for kind in [cells[1]]]  # fmt: skip
    kinds = {"int64": "int", "float": "float", "double": "float", "list<item: string>": "list of string",
             "list<element: string>": "list of string", "list<item: int64>": "list of int"}  # fmt: skip

    def kind(column) -> str:
        shown = str(column.type)
        return "list of struct" if "struct" in shown else kinds.get(shown, shown)

    assert told == [(column.name, kind(column)) for column in SCHEMA]
    neighbours = next(cells for cells in rows("Columns of `mined.parquet`") if cells[0] == "`neighbours`")
    assert re.findall(r"`(\w+)`", neighbours[2]) == [field.name for field in NEIGHBOUR]


def test_the_verdicts_have_their_actions_and_the_report_a_meaning_for_each():
    assert [(cells[0].strip("`"), cells[1].strip("`")) for cells in rows("Verdicts and actions")] == list(ACTIONS.items())
    assert list(MEANINGS) == list(ACTIONS)
