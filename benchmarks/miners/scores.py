"""Label scoring of given predictions, 1,000,000 rows of 20 classes, against cleanlab's full method on the same rows.

python benchmarks/miners/scores.py    # prints the figures as JSON
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from benchmarks import memory
from benchmarks.shared import Row
from mining.labels import scoring

SETTING, CLASSES, NOISE = "label_scores_1m", 20, 0.1


def predictions(n: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n, 20) float32 that find the true label in about 9 rows of 10, given labels of which 10% are flipped, their mask."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES, n)
    mask = rng.random(n) < NOISE
    given = np.where(mask, (truth + rng.integers(1, CLASSES, n)) % CLASSES, truth)
    p = np.empty((n, CLASSES), np.float32)
    for start in range(0, n, 50_000):
        rows = p[start : start + 50_000]
        rows[:] = 1.5 * rng.standard_normal(rows.shape, np.float32)
        rows[np.arange(len(rows)), truth[start : start + 50_000]] += 5
        np.exp(rows, out=rows)
        rows /= rows.sum(1, keepdims=True)
    return p, given, mask


def rows(quick: bool) -> tuple[list[Row], dict[str, Any]]:
    """Ours in a process of its own, so that its peak memory is its own; then cleanlab. `quick` takes 50,000 rows."""
    from cleanlab.filter import find_label_issues
    from sklearn.metrics import f1_score

    n = 50_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        flags = pathlib.Path(folder) / "flags.npy"
        said = subprocess.run(
            [sys.executable, __file__, "--measure", str(n), str(flags)], check=True, capture_output=True, text=True
        )
        ours, flagged = json.loads(said.stdout), np.load(flags)
    p, given, mask = predictions(n)
    start = time.process_time()
    peer = find_label_issues(given, p, n_jobs=1)
    seconds = time.process_time() - start
    f1, f1_peer = float(f1_score(mask, flagged)), float(f1_score(mask, peer))
    out = [
        Row(SETTING, "seconds", "CPU s", ours["seconds"], seconds, "cleanlab", 1.0, False),
        Row(SETTING, "peak_gb", "GB", ours["peak_gb"], None, "", 0.65, False),
        Row(SETTING, "f1_minus_cleanlab", "difference", f1 - f1_peer, None, "cleanlab", 0.0),
    ]
    return out, {**ours, "rows": n, "f1": f1, "cleanlab": {"f1": f1_peer, "seconds": seconds}}


def _measure(n: int, path: str) -> dict[str, float]:
    p, given, _ = predictions(n)
    start = time.process_time()
    found = scoring.confident(p, given)
    seconds = time.process_time() - start
    np.save(path, found.flagged)
    return {"seconds": seconds, "peak_gb": memory.peak_gb()}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        sys.stdout.write(json.dumps(_measure(int(sys.argv[2]), sys.argv[3])))
    else:
        found, details = rows("--quick" in sys.argv)
        sys.stdout.write(json.dumps({"rows": [asdict(row) for row in found], "details": details}, indent=1) + "\n")
