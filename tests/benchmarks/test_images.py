"""The benchmark of images: what it counts, on which rows; `make bench NAME=images` measures."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import torch

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from benchmarks import images  # noqa: E402
from benchmarks.pages import images as page  # noqa: E402
from benchmarks.pictures import digits, guided, retraining, transfer  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "images.json"


@pytest.fixture
def lab(monkeypatch):
    """Labs of numbered pixels: row i of the data set holds i."""
    n = 10_000
    rows = torch.arange(n, dtype=torch.float32).view(-1, 1, 1, 1), torch.arange(n) % 10
    whole = torch.from_numpy(np.random.default_rng(2026).permutation(n))
    monkeypatch.setattr(digits.Lab, "_all", property(lambda self: (*rows, whole)))
    return digits.Lab


def test_no_net_sees_another_s_rows_and_none_the_test_s(lab):
    for seed in (*digits.SEEDS, 0):
        parts = {name: set(lab(seed).rows(name)[0].flatten().tolist()) for name in digits.PARTS}
        assert {name: len(rows) for name, rows in parts.items()} == digits.PARTS
        assert len(set.union(*parts.values())) == sum(digits.PARTS.values()), "disjoint"
        assert set.union(*parts.values()) == set(lab(seed).rows("pool")[0].flatten().tolist())
        test = set(lab(seed).rows("test")[0].flatten().tolist())
        if seed:
            assert len(test) == 2000
            assert not test & set.union(*parts.values())
        else:
            assert not test & set(lab(1).rows("test")[0].flatten().tolist()), "tuning never sees what is reported"
    shares = [set(lab(seed).rows("target")[0].flatten().tolist()) for seed in digits.SEEDS]
    assert len(shares[0] & shares[1]) < 0.6 * 3000, "the seeds draw their own"


def test_a_candidate_counts_only_if_it_is_missed_and_both_filters_are_sure():
    x, y = torch.zeros(4, 1, 28, 28), torch.tensor([0, 1, 2, 3])
    told = guided.Attacked(
        x, y, np.array([True, True, False, True]), np.array([True, False, True, True]),
        np.array([True, True, True, False]), 2.0,
    )  # fmt: skip

    class Always:
        def of(self, images):
            return np.tile(np.eye(10)[0], (len(images), 1))

    found = told.figures(Always())
    assert (found["yield"], found["audit_validity"], found["cpu_s_accepted"]) == (50.0, 0.5, 1.0)
    assert found["blur_survival"] == 0.5, "the net says 0, which is right about the first"


def test_the_better_half_is_chosen_by_filters_and_surrogates_and_keeps_the_cost_of_all():
    x = torch.tensor([0.1, 0.4, 0.3, 0.2]).view(-1, 1, 1, 1)
    told = guided.Attacked(
        x, torch.zeros(4, dtype=torch.int64), np.array([True, False, True, True]), np.array([True, True, False, True]),
        np.array([True, True, False, False]), 2.0,
    )  # fmt: skip

    class Missed(torch.nn.Module):
        def forward(self, images):
            return torch.cat([torch.zeros(len(images), 1), images.flatten(1)], 1)

    order = transfer.preferred(told, [digits.Net(Missed()), digits.Net(Missed())])
    assert order.tolist() == [1, 3, 0, 2]
    half = told.best(order[:2])
    assert (half.fooled.tolist(), half.audited.tolist(), half.cpu_s) == ([False, True], [True, False], 2.0)
    assert half.x.flatten().tolist() == pytest.approx([0.4, 0.2])


def test_augmentations_keep_the_range_and_the_shape():
    x = torch.rand(64, 1, 28, 28)
    rng = torch.Generator().manual_seed(0)
    for name in ("moved", "corrupted"):
        out = digits.AUGMENTS[name](None, x, None, rng)
        assert out.shape == x.shape, name
        assert 0 <= out.min() <= out.max() <= 1, name
        assert (out != x).any(), name
    assert torch.allclose(digits.blurred(torch.full((1, 1, 9, 9), 0.4), 0.6), torch.full((1, 1, 9, 9), 0.4))
    for name, change in {**retraining.CORRUPTIONS, **guided.LAUNDERED}.items():
        assert change(x).shape == x.shape, name


def test_a_part_gives_tables_and_rows_or_rows_alone(monkeypatch):
    row = images.Row("setting", "metric", "unit", 1.0)
    alone = type("Alone", (), {"rows": staticmethod(lambda quick: [row])})
    tables = type(
        "Tables", (), {"measure": staticmethod(lambda quick: {"x": 1}), "rows": staticmethod(lambda found: [row] * 2)}
    )
    monkeypatch.setattr(images, "module", {"guided": tables, "flyers": alone}.__getitem__)
    details = {part: images.measured(part, False) for part in ("flyers", "guided")}
    assert images.rows(json.loads(json.dumps(details))) == [row] * 3


def test_stored_rows_come_from_the_stored_tables():
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert [images.asdict(row) for row in images.rows(found["details"])] == found["rows"]
    assert "audit_validity" in page.tables(found["details"])
    keyed = {(row["setting"], row["metric"]) for row in found["rows"]}
    assert {("guided", "yield"), ("guided", "audit_validity"), ("semantic", "blur_survival")} <= keyed
    assert (("transfer", "yield") in keyed) == ("transfer" in found["details"]), "a part is measured whole or not at all"


@pytest.mark.slow
def test_a_quick_run_prints_beside_the_stored_rows():
    done = subprocess.run(
        [sys.executable, "benchmarks/images.py", "--quick"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=1800
    )
    rows = json.loads(done.stdout)
    assert {row["setting"] for row in rows} >= {"guided", "semantic", "control_diffusion"}
    stored = {(row["setting"], row["metric"]) for row in json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]}
    assert all((row["stored_ours"] is not None) == ((row["setting"], row["metric"]) in stored) for row in rows)
