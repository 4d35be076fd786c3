"""What generation costs beside the model: CPU a request, durability, what a kill makes do again, and vLLM against itself.

python benchmarks/generate.py                     # a server on loopback that answers after 50 ms; vLLM where .venv-vllm is
python benchmarks/generate.py --only durability   # this part alone; the others' stored figures stay
python benchmarks/generate.py --quick             # fewer requests, shown and not stored
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
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from benchmarks import shared
from benchmarks.generating import ledgers, server, writing
from benchmarks.shared import Row
from sparring.ledger import GROUP_ROWS, Ledger

DELAY = 0.05  # seconds
GOALS = {"cpu": 0.3, "overhead": 0.05, "vllm": 0.97}
VLLM = shared.ROOT / ".venv-vllm" / "bin" / "python"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer requests, shown and not stored")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help="out of %(choices)s")
    told = parser.parse_args()
    wanted = told.only or [part for part in PARTS if part != "vllm" or (VLLM.exists() and not told.quick)]
    details: dict[str, Any] = shared.read("generate")["details"] if shared.stored("generate") and not told.quick else {}
    for part in wanted:
        details |= PARTS[part](told.quick)
        if not told.quick:
            shared.write("generate", rows(details), details)  # after each part: a run that is stopped keeps what it has
    if told.quick:
        json.dump([asdict(row) for row in rows(details)], sys.stdout, indent=1)


def rows(details: dict[str, Any]) -> list[Row]:
    """The figures of what was measured."""
    found: list[Row] = []
    for setting in ("server_64", "server_512"):
        if cost := details.get(setting):
            found.append(Row(
                setting, "cpu_ms_per_request", "ms", cost["ours"], peer=cost["bare aiohttp"], peer_name="bare aiohttp",
                goal=GOALS["cpu"], higher_is_better=False,
            ))  # fmt: skip
    if cost := details.get("durability"):
        found += [
            Row("durability", "wall_overhead", "", cost["overhead"], goal=GOALS["overhead"], higher_is_better=False),
            Row("durability", "cpu_ms_per_request", "ms", cost["durable_cpu_ms"], peer=cost["fleeting_cpu_ms"],
                peer_name="the same, nothing kept", higher_is_better=False),
        ]  # fmt: skip
    if cost := details.get("kill"):
        for name in ("redone_rows_beyond_group", "lost_rows", "duplicate_rows"):
            found.append(Row("kill", name, "rows", cost[name], goal=0, higher_is_better=False))
    if cost := details.get("vllm"):
        found.append(Row("vllm", "throughput_ratio", "tokens/s ours over bare", cost["ratio"], goal=GOALS["vllm"]))
    return found


def of_server(quick: bool) -> dict[str, Any]:
    n, rounds = (1500, 1) if quick else (8000, 5)
    with tempfile.TemporaryDirectory() as place, server.running(DELAY) as url:
        folder = pathlib.Path(place)
        return {f"server_{flying}": cpu(url, folder / f"cpu-{flying}", n, flying, rounds) for flying in (64, 512)}


def of_durability(quick: bool) -> dict[str, Any]:
    n, rounds = (1500, 2) if quick else (8192, 7)
    with tempfile.TemporaryDirectory() as place, server.running(DELAY) as url:
        return {"durability": durability(url, pathlib.Path(place) / "durability", n, rounds)}


def of_kill(quick: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place, server.running(DELAY) as url:
        return {"kill": kills(url, pathlib.Path(place) / "ledger", 2000 if quick else 8000, 64, 2 if quick else 5)}


def of_ledgers(quick: bool) -> dict[str, Any]:
    return {"ledgers": ledgers.measured(4000 if quick else 100_000)}


def of_vllm(quick: bool) -> dict[str, Any]:
    if not VLLM.exists():
        sys.exit(
            f"expected vLLM in an environment of its own, found no {VLLM.relative_to(shared.ROOT)}. Fix: make .venv-vllm/done"
        )
    script = pathlib.Path(writing.__file__).with_name("engine.py")
    words = [str(VLLM), str(script), *(("16", "2", "60") if quick else ("48", "7", "420"))]
    done = subprocess.run(
        words, env=os.environ | {"PYTHONPATH": str(shared.ROOT)}, stdout=subprocess.PIPE, text=True, check=True
    )
    return {"vllm": json.loads(done.stdout.splitlines()[-1])}


PARTS: dict[str, Callable[[bool], dict[str, Any]]] = {
    "server": of_server, "durability": of_durability, "kill": of_kill, "ledgers": of_ledgers, "vllm": of_vllm,
}  # fmt: skip


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
    """Texts in shards, durable over fleeting: wall time as the median of the pairs' ratios, less 1, the first of a pair in
    turn; and CPU a request."""
    folder.mkdir()
    found: dict[str, list[dict[str, float]]] = {"durable": [], "fleeting": []}
    writing.alone(url, 64, 64)  # imports, connections
    for i in range(rounds):
        for who in ("durable", "fleeting")[:: 1 if i % 2 else -1]:
            found[who].append(writing.timed(getattr(writing, who), url, folder / f"{who}-{i}", n, 64))
    ratios = [kept["wall"] / lost["wall"] - 1 for kept, lost in zip(found["durable"], found["fleeting"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if rounds > 1 else ratios * 3
    figures = {"overhead": round(middle, 4), "lower_quartile": round(low, 4), "upper_quartile": round(high, 4)}
    for who, runs in found.items():
        figures[f"{who}_seconds"] = round(statistics.median(run["wall"] for run in runs), 3)
        figures[f"{who}_cpu_ms"] = round(min(run["cpu"] for run in runs) / n * 1000, 4)
    return figures | {"requests": n, "pairs": rounds, "in_flight": 64}


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
