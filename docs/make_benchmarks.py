"""Writes docs/benchmarks.md from benchmarks/results/*.json, so that no figure there is typed by hand.

python docs/make_benchmarks.py
"""

from __future__ import annotations

import importlib
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.pages.tables import goals, where  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks.md"
NAMES = (
    "attack",
    "selfplay",
    "mining",
    "label_issues",
    "generate",
    "images",
)  # in the order of the page, as modules of benchmarks/pages

HEAD = """# Benchmarks

Made by `docs/make_benchmarks.py` from `benchmarks/results/`, which `make bench` writes; no figure here is typed.
"""


def page() -> str:
    parts = [HEAD]
    for name in NAMES:
        path = ROOT / "benchmarks" / "results" / f"{name}.json"
        if not path.exists():  # not measured yet
            continue
        found = json.loads(path.read_text(encoding="utf-8"))
        about = importlib.import_module(f"benchmarks.pages.{name}")
        parts += [about.HEAD, goals(found), about.tables(found["details"]), where(found)]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
