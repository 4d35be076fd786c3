"""The benchmark of generation: its server answers as one of OpenAI's, the quick run is real."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.generating import ledgers, server, writing  # noqa: E402


def test_every_way_asks_the_same_and_gets_an_answer_to_each(tmp_path):
    with server.running(0.001) as url:
        ours, bare = writing.alone(url, 60, 8), writing.bare(url, 60, 8)
        assert all(ours)
        assert all(bare)
        assert server.asked(url) == {"all": 120, "distinct": 120}, "the seeds differ"
        writing.remembered(url, tmp_path / "ledger", 60, 8)
        assert server.asked(url) == {"all": 180, "distinct": 120}
        writing.remembered(url, tmp_path / "ledger", 60, 8)
        assert server.asked(url)["all"] == 180, "the ledger has them"
        writing.durable(url, tmp_path / "run", 60, 8)
        writing.fleeting(url, tmp_path / "fleeting", 60, 8)
    assert len(list((tmp_path / "run" / "run").glob("*.parquet"))) == len(list((tmp_path / "fleeting").glob("*.parquet"))) == 1


def test_both_stores_hold_what_was_written():
    found = ledgers.measured(400)
    assert [row["who"][:6] for row in found] == ["segmen", "SQLite", "SQLite"]
    assert all(row[f"{what}_cpu_us"] > 0 for row in found for what in ("write", "read"))


@pytest.mark.slow
def test_the_quick_run_measures():
    done = subprocess.run(
        [sys.executable, "benchmarks/generate.py", "--quick"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = {(row["setting"], row["metric"]): row["ours"] for row in json.loads(done.stdout)}
    assert 0 < rows["server_64", "cpu_ms_per_request"] < 2
    for metric in ("redone_rows_beyond_group", "lost_rows", "duplicate_rows"):
        assert rows["kill", metric] == 0


def test_stored_rows_have_the_names_that_others_read():
    found = json.loads((ROOT / "benchmarks" / "results" / "generate.json").read_text(encoding="utf-8"))
    keyed = {(row["setting"], row["metric"]): row["ours"] for row in found["rows"]}
    assert {("server_64", "cpu_ms_per_request"), ("server_512", "cpu_ms_per_request")} <= set(keyed)
    assert keyed["durability", "wall_overhead"] == found["details"]["durability"]["overhead"]
    for name in ("redone_rows_beyond_group", "lost_rows", "duplicate_rows"):
        assert keyed["kill", name] == found["details"]["kill"][name]
