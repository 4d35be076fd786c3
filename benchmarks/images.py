"""Images: guided diffusion against a classifier of digits, and what retraining on its samples is worth.

    python benchmarks/images.py                      # under an hour on one core; what is trained is kept for the next run
    python benchmarks/images.py --only guided        # this part alone; the others' stored figures stay
    python benchmarks/images.py --quick              # light nets, few candidates; beside stored rows, not stored

A part is a module of benchmarks/pictures/ with `measure(quick)`, which gives its details, and `rows(details)`; or with
`rows(quick)` alone.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pathlib
import sys
from dataclasses import asdict
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from benchmarks import shared
from benchmarks.shared import Row
from sparring.context import set_threads

PARTS = ("guided", "transfer", "retraining", "flyers", "aigc")
QUICK = ("guided",)


def rows(details: dict[str, Any]) -> list[Row]:
    """The figures of every part that was measured, in the order of the parts."""
    return [row for part in PARTS if part in details for row in rows_of(part, details[part])]


def rows_of(part: str, details: dict[str, Any]) -> list[Row]:
    return [Row(**row) for row in details["rows"]] if "rows" in details else module(part).rows(details)


def measured(part: str, quick: bool) -> dict[str, Any]:
    found = module(part)
    return found.measure(quick) if hasattr(found, "measure") else {"rows": [asdict(row) for row in found.rows(quick)]}


def module(part: str) -> Any:
    return importlib.import_module(f"benchmarks.pictures.{part}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few candidates; stores nothing")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help="out of %(choices)s")
    asked = parser.parse_args()
    set_threads(1)
    wanted = asked.only or (QUICK if asked.quick else PARTS)
    if asked.quick:
        kept = shared.read("images")["rows"] if shared.stored("images") else []
        stored = {(r["setting"], r["metric"]): r["ours"] for r in kept}
        found = [asdict(row) for part in wanted for row in rows_of(part, measured(part, True))]
        told = [row | {"stored_ours": stored.get((row["setting"], row["metric"]))} for row in found]
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        return
    details = shared.read("images")["details"] if shared.stored("images") else {}
    for part in wanted:
        details[part] = measured(part, False)
        ordered = {name: details[name] for name in PARTS if name in details}
        shared.write("images", rows(ordered), ordered)  # after each part: a run that is stopped keeps what it has


if __name__ == "__main__":
    main()
