"""The benchmark of mining: its driver, its vectors, its page; `make bench NAME=mining` measures."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]


def module(path: str):
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem + "_benchmark", ROOT / path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def mining():
    return module("benchmarks/mining.py")


def row(setting: str, ours: float = 1.0) -> dict:
    return {"setting": setting, "metric": "m", "unit": "u", "ours": ours}


def test_a_part_replaces_its_own_figures_and_keeps_the_others(mining):
    first, details = mining.merged({"rows": [], "details": {}}, {
        "scores": {"rows": [row("label_scores_1m")], "details": {"rows": 5}},
        "neardup": {"rows": [row("neardup_1m"), row("flood")], "details": {"rows": 7}},
    })  # fmt: skip
    assert [r.setting for r in first] == ["neardup_1m", "flood", "label_scores_1m"]
    stored = json.loads(json.dumps({"rows": [mining.asdict(r) for r in first], "details": details}))
    again, told = mining.merged(stored, {"neardup": {"rows": [row("neardup_1m", 2.0)], "details": {"rows": 8}}})
    assert [(r.setting, r.ours) for r in again] == [("neardup_1m", 2.0), ("label_scores_1m", 1.0)]
    assert (told["neardup"], told["scores"]) == ({"rows": 8}, {"rows": 5})


def test_a_part_that_is_not_there_is_an_error(mining, monkeypatch):
    monkeypatch.setattr(mining, "PARTS", ("neardup", "nothing"))
    monkeypatch.setattr(sys, "argv", ["mining.py"])
    with pytest.raises(SystemExit, match="missing: nothing"):
        mining.main()


def test_vectors_are_the_shared_definition(tmp_path):
    vectors = module("benchmarks/miners/vectors.py")
    source, copy = vectors.write(tmp_path / "x.npy", 3_000, dim=32, planted=0.1, seed=3)
    x = np.load(tmp_path / "x.npy")
    assert np.allclose(np.linalg.norm(x, axis=1), 1, atol=1e-5)
    assert len(source) == len(copy) == 300
    assert ((x[source] * x[copy]).sum(1) > 0.95).all()
    shared = ROOT.parent / "shared" / "yardstick.py"
    if shared.exists():  # the definition that other projects measure by
        yardstick = module(str(shared))
        a, b = yardstick.vectors(str(tmp_path / "y.npy"), 3_000, dim=32, planted=0.1, seed=3)
        assert (a == source).all()
        assert (b == copy).all()
        assert (np.load(tmp_path / "y.npy") == x).all()


def test_the_page_shows_any_part():
    sys.path.insert(0, str(ROOT))
    page = importlib.import_module("benchmarks.pages.mining")
    text = page.tables({
        "neardup": {"rows": 1_000_000, "one": [{"who": "ours", "cpu_seconds": 12.345}], "four": {"peak_gb": 1.25}},
        "active": {"sms": {"random": {"f1": 0.5}, "ours": {"f1": 0.625, "n": 3}}},
        "part_of": {},
    })  # fmt: skip
    for shown in ("### Near duplicates", "| rows | 1,000,000 |", "| ours | 12.3 |", "| peak_gb |", "| ours | 0.625 | 3 |"):
        assert shown in text, shown


@pytest.mark.slow
def test_the_quick_run_measures_near_duplicates():
    command = [sys.executable, "benchmarks/mining.py", "--quick", "--only", "neardup"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=900)
    rows = {(r["setting"], r["metric"]): r["ours"] for r in json.loads(done.stdout)}
    assert rows["neardup_1m", "recall"] >= 0.99
    assert rows["flood", "recall"] >= 0.99
    assert rows["neardup_1m", "cpu_ratio"] < 1
    assert rows["import", "torch"] == 0
