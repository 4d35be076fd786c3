from __future__ import annotations

import importlib
import importlib.util
import pathlib
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
YARDSTICK = ROOT.parent / "shared" / "yardstick.py"
sys.path.insert(0, str(ROOT))
from benchmarks import label_issues, noise  # noqa: E402
from benchmarks.miners import scores  # noqa: E402


@pytest.fixture
def yardstick():
    if not YARDSTICK.exists():
        pytest.skip("the shared definition file is not beside this checkout")
    spec = importlib.util.spec_from_file_location("yardstick", YARDSTICK)
    module = importlib.util.module_from_spec(spec)
    sys.modules["yardstick"] = module
    spec.loader.exec_module(module)
    return module


def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = (np.arange(300) % 5 == 0).astype(int)
    return np.eye(2, 6)[y] + 0.5 * rng.standard_normal((300, 6)), y


@pytest.mark.parametrize("kind", noise.KINDS)
def test_noise_is_that_of_the_shared_definitions(yardstick, kind):
    x, y = rows()
    for seed in range(3):
        for ours, theirs in zip(noise.flip(y, kind, seed, x), yardstick.flip(y, kind, seed, x), strict=True):
            assert (ours == theirs).all()
    assert (noise.rare(y) == yardstick.rare(y)).all()


def test_each_kind_of_noise_flips_what_it_says():
    x, y = rows()
    for kind in noise.KINDS:
        noisy, mask = noise.flip(y, kind, 0, x)
        assert ((noisy != y) == mask).all()
        assert mask.sum() == (12 if kind == "missed" else 30)
    assert (y[noise.flip(y, "missed", 0)[1]] == 1).all()
    with pytest.raises(ValueError, match="expected a kind of symmetric"):
        noise.flip(y, "asymmetric", 0)


@pytest.mark.parametrize("name", ["ours", *label_issues.PEERS])
def test_every_method_finds_flips_of_well_separated_classes(name):
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    x = (np.eye(3, 8)[y] + 0.1 * rng.standard_normal((300, 8))).astype(np.float32)
    noisy, mask = noise.flip(y, "symmetric", 1)
    method = label_issues.ours if name == "ours" else label_issues.PEERS[name]
    flagged, score = method(x, noisy, 0)
    assert flagged.dtype == bool
    assert flagged[mask].mean() >= 0.6
    assert score[mask].mean() > score[~mask].mean()


def test_rows_hold_the_best_single_method_of_the_setting():
    found = {name: {"f1": [0.5], "ap": [0.5]} for name in ("ours", *label_issues.PEERS)}
    found["AUM"] = {"f1": [0.6], "ap": [0.4]}
    made = {row.metric: row for row in label_issues.rows("sms_rare", found)}
    assert made["f1_minus_best"].ours == pytest.approx(-0.1)
    assert made["f1_minus_best"].goal == label_issues.RARE_GOAL
    assert made["f1"].peer_name == "AUM"
    assert made["ap_minus_best"].ours == 0


def test_label_scoring_is_measured_in_a_process_of_its_own():
    made, details = scores.rows(quick=True)
    by_name = {row.metric: row.ours for row in made}
    assert by_name["f1_minus_cleanlab"] >= 0
    assert by_name["seconds"] <= 1
    assert 0 < by_name["peak_gb"] <= 0.65
    assert details["rows"] == 50_000
