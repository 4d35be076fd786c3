"""The benchmark of publishing: its rows, its page; `make bench NAME=publish` measures."""

from __future__ import annotations

import json
import pathlib
import statistics
import subprocess
import sys

import pytest

from sparring import policy
from sparring.publishing import push, write

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))


@pytest.mark.parametrize("setting", ["text", "images"])
def test_the_rows_are_such_as_sparring_publishes(setting, tmp_path):
    from benchmarks.publishing import sources

    rules = policy.load(ROOT / "examples" / "policies" / "spam.yaml")
    found = write.stream(tmp_path / "d", sources.tables(setting, 300, rules), rules, name="bench", facts={})
    assert push.checked(tmp_path / "d") == found
    assert found.rows == 300
    assert found.parts == {"bench.data", "bench.r00", "bench.r01", "bench.r02"}
    assert found.count(lambda c: c.origin) == {"real": 200, "synthetic": 100}


RESULTS = ROOT / "benchmarks" / "results" / "publish.json"


def test_the_stored_figures_follow_from_the_stored_cases():
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = {(r["setting"], r["metric"]): r["ours"] for r in found["rows"]}
    cases = found["details"]["faults"]["cases"]
    assert rows["faults", "cases"] == len(cases) > 40
    assert rows["faults", "lost_rows"] == sum(c["lost"] for c in cases)
    assert rows["faults", "duplicate_rows"] == sum(c["duplicate"] for c in cases)
    for setting in ("text", "images"):
        told = found["details"][setting]["memory"]
        few, many = (statistics.median(m["peak_gb"] for m in told if m["rows"] == n) for n in (10_000, 1_000_000))
        assert rows[setting, "memory_ratio_1m_to_10k"] == many / few
        assert rows[setting, "throughput_ratio"] > 0


@pytest.mark.slow
def test_the_quick_run():
    command = [sys.executable, "benchmarks/publish.py", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=900)
    rows = {(r["setting"], r["metric"]): r["ours"] for r in json.loads(done.stdout)}
    assert rows["faults", "lost_rows"] == rows["faults", "duplicate_rows"] == 0
    assert rows["faults", "cases"] >= 6
