"""What generation costs beside the model: CPU a request, durability, and what a kill makes do again; one thread.

python benchmarks/generate.py            # against a server on loopback that answers after 50 ms
python benchmarks/generate.py --quick    # fewer requests, shown and not stored
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from benchmarks import shared
from benchmarks.generating import ledgers, server, writing
from benchmarks.shared import Row
from sparring.ledger import GROUP_ROWS, Ledger

DELAY = 0.05  # seconds
GOALS = {"cpu": 0.3, "overhead": 0.05}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer requests, shown and not stored")
    quick = parser.parse_args().quick
    n, rounds = (1500, 1) if quick else (8000, 5)
    rows: list[Row] = []
    details: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place, server.running(DELAY) as url:
        folder = pathlib.Path(place)
        for flying in (64, 512):
            found = cpu(url, folder / f"cpu-{flying}", n, flying, rounds)
            rows.append(Row(
                f"server_{flying}", "cpu_ms_per_request", "ms", found["ours"], peer=found["bare aiohttp"],
                peer_name="bare aiohttp", goal=GOALS["cpu"], higher_is_better=False,
            ))  # fmt: skip
            details[f"server_{flying}"] = found
        found = durability(url, folder / "durability", n, rounds)
        rows.append(Row("durability", "wall_overhead", "", found["overhead"], goal=GOALS["overhead"], higher_is_better=False))
        details["durability"] = found
    with tempfile.TemporaryDirectory() as place, server.running(DELAY) as url:
        found = kills(url, pathlib.Path(place) / "ledger", 2000 if quick else 8000, 64, 2 if quick else 5)
        for name in ("redone_rows_beyond_group", "lost_rows", "duplicate_rows"):
            rows.append(Row("kill", name, "rows", found[name], goal=0, higher_is_better=False))
        details["kill"] = found
    details["ledgers"] = ledgers.measured(4000 if quick else 100_000)
    if quick:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=1)
    else:
        shared.write("generate", rows, details)


def cpu(url: str, folder: pathlib.Path, n: int, flying: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of CPU a request, in turn; the least of each, since other work on the machine only adds."""
    ways = {
        "ours": lambda i: (writing.remembered, url, folder / str(i), n, flying),
        "ours without a ledger": lambda i: (writing.alone, url, n, flying),
        "bare aiohttp": lambda i: (writing.bare, url, n, flying),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    writing.alone(url, flying, flying)  # imports, connections
    for i in range(rounds):
        for name, way in ways.items():
            work, *args = way(i)
            found[name].append(writing.timed(work, *args)["cpu"] / n * 1000)
    return {name: round(min(times), 4) for name, times in found.items()} | {"requests": n, "rounds": rounds}


def durability(url: str, folder: pathlib.Path, n: int, rounds: int) -> dict[str, Any]:
    """Wall time of texts in shards, durable over fleeting; the median of the rounds' ratios, less 1."""
    folder.mkdir()
    ratios, walls = [], []
    for i in range(rounds):
        kept = writing.timed(writing.durable, url, folder / f"kept-{i}", n, 64)["wall"]
        lost = writing.timed(writing.fleeting, url, folder / f"lost-{i}", n, 64)["wall"]
        ratios.append(kept / lost - 1)
        walls.append((kept, lost))
    return {
        "overhead": round(statistics.median(ratios), 4), "least": round(min(ratios), 4), "most": round(max(ratios), 4),
        "durable_seconds": round(statistics.median(w[0] for w in walls), 3),
        "fleeting_seconds": round(statistics.median(w[1] for w in walls), 3), "requests": n, "in_flight": 64,
    }  # fmt: skip


def kills(url: str, folder: pathlib.Path, n: int, flying: int, times: int) -> dict[str, Any]:
    """SIGKILL at random moments, then the same again; what the server was asked twice is what was redone."""
    rng, redone, before = random.Random(0), [], 0
    words = [sys.executable, str(pathlib.Path(writing.__file__)), url, str(folder), str(n), str(flying)]
    environment = os.environ | {"PYTHONPATH": str(shared.ROOT)}
    for i in range(times + 1):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=environment)
        target = n * (i + 1) // (times + 2)
        while i < times and process.poll() is None and server.asked(url)["distinct"] < target:
            time.sleep(0.01)
        if i < times:
            time.sleep(rng.random() * 0.3)
            process.send_signal(signal.SIGKILL)
        code = process.wait()
        assert code == (0 if i == times else -signal.SIGKILL), code
        counted = server.asked(url)
        redone.append(counted["all"] - counted["distinct"] - before)
        before = counted["all"] - counted["distinct"]
    with Ledger(folder) as ledger:
        kept = len(ledger)
        framed = sum(len(keys) for path in folder.glob("*.seg") for _, _, keys in ledger_frames(path))
    return {
        "redone_rows_beyond_group": max(0, *(r - flying - GROUP_ROWS for r in redone)), "lost_rows": n - kept,
        "duplicate_rows": framed - kept, "kills": times, "redone_by_start": redone, "rows": n,
        "redone_share": round(sum(redone) / n, 4), "in_flight": flying, "group": GROUP_ROWS,
    }  # fmt: skip


def ledger_frames(path: pathlib.Path) -> Any:
    from sparring.ledger import frames

    return frames(path.read_bytes())


if __name__ == "__main__":
    main()
