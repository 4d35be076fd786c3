"""What publishing costs, and what is left of a push when the line breaks. One thread, CPU seconds, ours and the peer in turn.

python benchmarks/publish.py          # everything
python benchmarks/publish.py --quick  # fewer rows and faults, shown and not stored
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from benchmarks import shared
from benchmarks.shared import Row

SETTINGS = {"text": 200_000, "images": 10_000}  # rows written; images are photographs' size, stamps where memory is measured
MEMORY = (10_000, 1_000_000)  # rows
PAIRS = 7
PEAKS = 3  # processes whose peak memory is looked at, of each size
QUICK = 25  # times fewer
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS"), "1") | {
    "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0", "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "MALLOC_ARENA_MAX": "2",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rows and faults, shown and not stored")
    parser.add_argument("--child", help=argparse.SUPPRESS)  # what a measured process does, as JSON
    told = parser.parse_args()
    if told.child:
        from benchmarks.publishing import children

        json.dump(children.run(**json.loads(told.child)), sys.stdout)
        return
    fewer = QUICK if told.quick else 1
    rows: list[Row] = []
    details: dict[str, Any] = {}
    for setting, n in SETTINGS.items():
        found, details[setting] = measured(setting, n // fewer, [n // fewer for n in MEMORY], pairs=1 if told.quick else PAIRS)
        rows += found
    found, details["faults"] = faults(quick=told.quick)
    rows += found
    if told.quick:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=1)
        return
    shared.write("publish", rows, details)


def measured(setting: str, n: int, sizes: list[int], *, pairs: int) -> tuple[list[Row], dict[str, Any]]:
    """Rows a second against bare `to_parquet` of the same dataset on disk, and peak memory by number of rows."""
    with tempfile.TemporaryDirectory() as folder:
        source = f"{folder}/source"
        child(what="source", setting=setting, n=n, folder=source)
        runs = [
            {who: child(what=who, setting=setting, n=n, folder=source) for who in (order if i % 2 else reversed(order))}
            for i, order in enumerate([("ours", "bare")] * pairs)
        ]
        memory = {
            m: [child(what="memory", setting=setting, n=m, folder=f"{folder}/memory-{m}") for _ in range(min(pairs, PEAKS))]
            for m in sizes
        }
    speeds = {who: statistics.median(run[who]["rows"] / run[who]["cpu_seconds"] for run in runs) for who in ("ours", "bare")}
    ratio = statistics.median(run["bare"]["cpu_seconds"] / run["ours"]["cpu_seconds"] for run in runs)
    few, many = (statistics.median(run["peak_gb"] for run in memory[m]) for m in sizes)
    details = {
        "rows": n, "rows_per_second": speeds,
        "megabytes_per_second": {who: speeds[who] * runs[0][who]["bytes_in"] / n / 1e6 for who in speeds},
        "cpu_seconds": [{who: run[who]["cpu_seconds"] for who in ("ours", "bare")} for run in runs],
        "parts_of_ours": runs[-1]["ours"]["parts"],
        "megabytes_on_disk": {who: runs[0][who]["bytes_out"] / 1e6 for who in speeds},
        "memory": [{"rows": m, **run} for m in sizes for run in memory[m]],
    }  # fmt: skip
    return [
        Row(setting, "throughput_ratio", "rows/s ours over to_parquet", ratio, goal=0.8),
        Row(setting, "memory_ratio_1m_to_10k", "peak memory", many / few, goal=1.25, higher_is_better=False),
    ], details


def faults(*, quick: bool) -> tuple[list[Row], dict[str, Any]]:
    found = child(what="faults", setting="faults", n=6 if quick else 0, folder="")
    lost, double = sum(c["lost"] for c in found["cases"]), sum(c["duplicate"] for c in found["cases"])
    return [
        Row("faults", "lost_rows", "rows", lost, goal=0, higher_is_better=False),
        Row("faults", "duplicate_rows", "rows", double, goal=0, higher_is_better=False),
        Row("faults", "cases", "pushes with a fault", len(found["cases"])),
    ], found


def child(**asked: Any) -> dict[str, Any]:
    """In a process of its own: its peak memory is its own too."""
    command = [sys.executable, __file__, "--child", json.dumps(asked)]
    done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{asked}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
