"""Near duplicates at cosine > 0.95 in `vectors.py`: ours beside k-means and pairs within clusters (SemDeDup, Abbas et al.,
https://arxiv.org/abs/2303.09540), from disk, each measurement in a process of its own, one thread, CPU seconds.

A flood (60% of rows in near-duplicate pairs) beside cleanlab's Datalab on what it can do; what importing costs.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from benchmarks import memory
from benchmarks.miners import vectors

THRESHOLD = 0.95
PER_CLUSTER, SHOWN, ROUNDS = 1000, 64, 10  # rows, and sample rows, a centroid of the baseline; rows stand in the nearest two
IMPORTS = "import mining, importlib, pkgutil, sys, time; [importlib.import_module(m.name) for m in pkgutil.walk_packages(mining.__path__, 'mining.')]; print(time.process_time(), 'torch' in sys.modules)"  # fmt: skip  # noqa: E501


def rows(quick: bool) -> tuple[list[Any], dict[str, Any]]:
    """`quick`: a twentieth of the rows, each measured once."""
    from benchmarks.shared import Row

    million = 50_000 if quick else 1_000_000
    details: dict[str, Any] = {"rows": million}
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder) / "vectors.npy"
        source, copy = vectors.write(place, million)
        _plant(place, source, copy)
        found = [_measure(who, place) for _ in range(1 if quick else 2) for who in ("ours", "baseline")]
        ours, peer = found[0::2], found[1::2]
        details["one"] = [{"who": who, **f} for who, f in zip(("ours", "baseline") * 2, found, strict=False)]
        source, copy = vectors.write(place, 4 * million)
        _plant(place, source, copy)
        four = _measure("ours", place)
        details["four"] = four
        flood = pathlib.Path(folder) / "flood.npy"
        _plant(flood, *vectors.write(flood, million // 5, planted=0.3))
        details["flood"] = {"ours": _measure("ours", flood)}
        _plant(flood, *vectors.write(flood, 2_000 if quick else 10_000, planted=0.3))
        details["flood_small"] = {who: _measure(who, flood) for who in ("ours", "datalab")}
    cpu = _mean([f["cpu_seconds"] for f in ours])
    ratio, growth = cpu / _mean([f["cpu_seconds"] for f in peer]), four["cpu_seconds"] / (4 * cpu)
    small = details["flood_small"]
    seconds, torch = _imports(3 if quick else 10)
    details["import"] = {"cpu_seconds": seconds, "torch": torch}
    name = "k-means 1,000, top 2, pairs"
    return [
        Row("neardup_1m", "cpu_ratio", "ours / peer", ratio, 1.0, name, goal=0.7, higher_is_better=False),
        Row("neardup_1m", "recall", "share", ours[0]["recall"], peer[0]["recall"], name, goal=peer[0]["recall"]),
        Row("neardup_1m", "peak_gb", "GB", max(f["peak_gb"] for f in ours), peer[0]["peak_gb"], name, 2.0, False),
        Row("neardup_4m", "cpu_ratio_to_4x_1m", "share", growth, goal=1.25, higher_is_better=False),
        Row("neardup_4m", "recall", "share", four["recall"], goal=0.99),
        Row("neardup_4m", "peak_gb", "GB", four["peak_gb"], goal=2.5, higher_is_better=False),
        Row("flood", "recall", "share", details["flood"]["ours"]["recall"], goal=0.99),
        Row("flood", "recall_10k", "share", small["ours"]["recall"], small["datalab"]["recall"], "Datalab", goal=0.99),
        Row("import", "seconds", "CPU s", seconds, goal=0.5, higher_is_better=False),
        Row("import", "torch", "1 = imported", float(torch), goal=0.0, higher_is_better=False),
    ], details


def ours(path: pathlib.Path) -> dict[str, Any]:
    from mining.duplicates import semantic

    x = np.load(path, mmap_mode="r")
    started = time.process_time()
    found = semantic.near_duplicates(x, THRESHOLD)
    seconds = time.process_time() - started
    measured = {"recall_measured_by_itself": found.recall, "pairs_it_measured_on": found.checked}
    return {"cpu_seconds": seconds, "pairs": len(found.first), **measured} | _recall(path, found.first, found.second, len(x))


def baseline(path: pathlib.Path) -> dict[str, Any]:
    """All rows in memory, which is faster than from the map; verified by the same product that finds the pairs."""
    import faiss

    x = np.load(path)
    started = time.process_time()
    rng, n, k = np.random.default_rng(0), len(x), len(x) // PER_CLUSTER
    clusters: Any = faiss.Kmeans(x.shape[1], k, niter=ROUNDS, spherical=True, max_points_per_centroid=SHOWN, seed=1)
    clusters.train(x[np.sort(rng.choice(n, min(n, k * SHOWN), replace=False))])
    nearest = clusters.index.search(x, 2)[1]
    order = np.argsort(nearest.ravel(), kind="stable") // 2
    keys = []
    for rows in np.split(order, np.cumsum(np.bincount(nearest.ravel(), minlength=k))[:-1]):
        rows = np.sort(rows)
        inside = x[rows]
        for start in range(0, len(rows), 1024):
            width = len(rows) - start
            i, j = np.divmod(np.flatnonzero(inside[start : start + 1024] @ inside[start:].T > THRESHOLD), width)
            later = i < j
            keys.append(rows[i[later] + start] * n + rows[j[later] + start])
    first, second = np.divmod(np.unique(np.concatenate(keys)), n)
    return {"cpu_seconds": time.process_time() - started, "pairs": len(first)} | _recall(path, first, second, n)


def datalab(path: pathlib.Path) -> dict[str, Any]:
    """Its default threshold, a share of the median distance to the nearest; the pairs that its near-duplicate sets hold."""
    from cleanlab import Datalab

    x = np.load(path)
    started = time.process_time()
    lab = Datalab({"id": list(range(len(x)))}, verbosity=0)
    lab.find_issues(features=x, issue_types={"near_duplicate": {}})
    seconds = time.process_time() - started
    sets = lab.get_info("near_duplicate")["near_duplicate_sets"]
    pairs = np.array([(min(i, j), max(i, j)) for i, others in enumerate(sets) for j in others]).reshape(-1, 2).astype(np.int64)
    return {"cpu_seconds": seconds, "pairs": len(np.unique(pairs, axis=0))} | _recall(path, pairs[:, 0], pairs[:, 1], len(x))


def _plant(path: pathlib.Path, source: np.ndarray, copy: np.ndarray) -> None:
    np.save(path.with_suffix(".pairs.npy"), np.sort(np.stack([source, copy], 1), axis=1))


def _recall(path: pathlib.Path, first: np.ndarray, second: np.ndarray, n: int) -> dict[str, float]:
    """Of the planted pairs, which the memory of the process that looked for them does not hold while it looks."""
    planted = np.load(path.with_suffix(".pairs.npy"))
    return {"recall": float(np.isin(planted[:, 0] * n + planted[:, 1], first * n + second).mean())}


def _measure(who: str, path: pathlib.Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, __file__, who, str(path)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _imports(times: int) -> tuple[float, bool]:
    """CPU seconds of a fresh process that imports every module of mining, the best of some; whether torch came with it."""
    with tempfile.TemporaryDirectory() as compiled:  # by the first process, which the best of some leaves out
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        command, env = [sys.executable, "-c", IMPORTS], env | {"PYTHONPYCACHEPREFIX": compiled}
        done = [subprocess.run(command, capture_output=True, text=True, check=True, env=env) for _ in range(1 + times)]
    found = [d.stdout.split() for d in done]
    return min(float(seconds) for seconds, _ in found), found[0][1] == "True"


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    import faiss
    import scipy.sparse.csgraph  # noqa: F401  loaded before the clock starts, as faiss is

    faiss.omp_set_num_threads(1)
    measured = {"ours": ours, "baseline": baseline, "datalab": datalab}[sys.argv[1]](pathlib.Path(sys.argv[2]))
    print(json.dumps(measured | {"peak_gb": memory.peak_gb()}))  # noqa: T201
