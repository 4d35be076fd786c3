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
# In the order of the page, as modules of benchmarks/pages.
NAMES = ("attack", "selfplay", "mining", "label_issues", "images", "generate", "publish")

HEAD = """# Benchmarks

Made by `docs/make_benchmarks.py` from `benchmarks/results/`, which `make bench` writes; no figure here is typed.
"""


def page() -> str:
    parts = [HEAD]
    for name in NAMES:
        results = ROOT / "benchmarks" / "results" / f"{name}.json"
        if not results.exists():
            continue  # not measured yet
        found = json.loads(results.read_text(encoding="utf-8"))
        about = importlib.import_module(f"benchmarks.pages.{name}")
        parts += [about.HEAD, goals(found), about.tables(found["details"]), where(found)]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
