"""What mining costs and finds: near duplicates, MinHash, label scores, verdicts, active learning; one thread, CPU seconds.

python benchmarks/mining.py                   # everything; each part of benchmarks/miners in a process of its own
python benchmarks/mining.py --only neardup    # one part; the stored figures of the others stay
python benchmarks/mining.py --quick           # smaller, shown and not stored
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from dataclasses import asdict
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from benchmarks import shared
from benchmarks.shared import Row

PARTS = ("neardup", "minhash", "scores", "verdicts", "active")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1") | {
    "OMP_WAIT_POLICY": "passive",
    "GOMP_SPINCOUNT": "0",
    "HF_HUB_OFFLINE": "1",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller, shown and not stored")
    parser.add_argument("--only", metavar="PART", choices=PARTS, help="one of %(choices)s")
    parser.add_argument("--into", type=pathlib.Path, help=argparse.SUPPRESS)  # the process of one part writes there
    told = parser.parse_args()
    if told.into:
        rows, details = importlib.import_module(f"benchmarks.miners.{told.only}").rows(told.quick)
        told.into.write_text(json.dumps({"rows": [asdict(row) for row in rows], "details": details}), encoding="utf-8")
        return
    wanted = [told.only] if told.only else list(PARTS)
    missing = [part for part in wanted if not (shared.ROOT / "benchmarks" / "miners" / f"{part}.py").exists()]
    if missing:
        sys.exit(f"expected benchmarks/miners/NAME.py for each of {', '.join(wanted)}; missing: {', '.join(missing)}")
    made = {part: run(part, told.quick) for part in wanted}
    if told.quick:
        json.dump([row for found in made.values() for row in found["rows"]], sys.stdout, indent=1)
        return
    stored = shared.read("mining") if (shared.RESULTS / "mining.json").exists() else {"rows": [], "details": {}}
    rows, details = merged(stored, made)
    shared.write("mining", rows, details)


def run(part: str, quick: bool) -> dict[str, Any]:
    """The part's rows and details, from a process of its own: its peak memory is its own too."""
    with tempfile.TemporaryDirectory() as folder:
        into = pathlib.Path(folder) / "part.json"
        command = [sys.executable, __file__, "--only", part, "--into", str(into), *(["--quick"] if quick else [])]
        subprocess.run(command, check=True, env=os.environ | ONE_THREAD)
        return json.loads(into.read_text(encoding="utf-8"))


def merged(stored: dict[str, Any], made: dict[str, dict[str, Any]]) -> tuple[list[Row], dict[str, Any]]:
    """What was made now in place of what the same parts had stored, in the order of the parts."""
    old = {part: {"rows": [], "details": stored["details"][part]} for part in PARTS if part in stored["details"]}
    for row in stored["rows"]:
        old[stored["details"]["part_of"][row["setting"]]]["rows"].append(row)
    parts = {part: (old | made)[part] for part in PARTS if part in old | made}
    rows = [Row(**row) for found in parts.values() for row in found["rows"]]
    part_of = {row["setting"]: part for part, found in parts.items() for row in found["rows"]}
    return rows, {part: found["details"] for part, found in parts.items()} | {"part_of": part_of}


if __name__ == "__main__":
    main()
