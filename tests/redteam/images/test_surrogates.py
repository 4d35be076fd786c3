"""Guided drawing against a black box: the gradients are those of surrogates that the run trains."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from redteam import engine
from redteam.engine import Seed
from redteam.images.attack import GuidedDiffusion
from sparring import check, jobs, registry, vision
from sparring.errors import JobError
from sparring.media import IMAGES
from sparring.protocols import Brief, Verdict
from synth.images.dummy import Dummy
from synth.images.tiny import Tiny

LABELS = ("benign", "withdrawn")
TINY = {"kind": "tiny", "train": {"size": 16, "widths": [8, 16], "epochs": 3}, "steps": 8}
SURROGATES = ["residual", {"kind": "net", "architecture": "mlp", "size": 16, "epochs": 6, "augment": "none"}]


@pytest.fixture
def black_box(tmp_path):
    """Settings of an ONNX file that a trained net was exported to: scores and no gradients."""
    letters = "OLXTXC"
    drawn = Dummy(size=16).draw([Brief(letters[i % 6], 5000 + i) for i in range(300)])
    truth = ["withdrawn" if letters[i % 6] == "X" else "benign" for i in range(300)]
    net = registry.make("image_target", "net", architecture="patches", size=16, augment="none", epochs=12)
    module = net.fit([d.image for d in drawn], truth, names=LABELS, seed=0)._module
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            module, (torch.zeros(2, 1, 16, 16),), tmp_path / "model.onnx", input_names=["image"],
            dynamic_axes={"image": {0: "n"}}, dynamo=False,
        )  # fmt: skip
    return {"kind": "onnx", "model": str(tmp_path / "model.onnx"), "classes": list(LABELS)}


def test_a_black_box_is_attacked_by_the_gradients_of_surrogates_that_the_run_trains(image_job, spar, black_box):
    path = image_job(synth={"model": TINY, "samples": 4}, target=black_box, retrain="none", attack={
        "strategy": {"kind": "guided", "surrogates": SURROGATES, "guides": [SURROGATES[1] | {"architecture": "cnn"}],
                     "strengths": [0.25, 0.4], "judge_weight": 3.0, "clamp": 8.0, "unguided": 0},
        "budget": 20, "train_seeds": 4, "test_seeds": 16, "payoff_seeds": 4,
    })  # fmt: skip
    folder = spar(path)
    assert sorted(p.name for p in (folder / "surrogates").iterdir() if p.is_dir()) == ["1-net", "residual"]
    first = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["rounds"][0]
    assert first["queries_per_seed"] <= 20
    assert "diffusion" in first["by_family"]
    tried = pq.read_table(folder / "round-00" / "outcomes" / "test-00000.parquet").to_pylist()
    attacked = [row for row in tried if row["status"] != "missed"]
    assert len(attacked) >= 8
    assert sum(row["evaded"] for row in attacked) > len(attacked) / 2, "surrogates led nowhere"


class Black:
    """Says how bright an image is; counts what it is asked, and has nothing else to ask for."""

    labels, threshold = LABELS, 0.5

    def __init__(self):
        self.rows = 0

    def predict_proba(self, samples):
        self.rows += len(samples)
        mean = vision.pixels(samples, size=16, channels=1).mean((1, 2, 3)) / 255
        violating = np.clip(1.2 - mean, 0, 1)
        return np.stack([1 - violating, violating], 1).astype(np.float32)


class Bright:
    """A surrogate of it."""

    labels, threshold = LABELS, 0.5

    def __repr__(self):
        return "Bright()"

    def logits(self, images):
        mean = images.mean((1, 2, 3))
        return torch.stack([20 * mean - 14, 14 - 20 * mean], 1)


class Agrees:
    def assess(self, seeds, samples, labels):
        return [Verdict(True, 1.0)] * len(samples)


def test_a_drawing_costs_no_query_of_the_target_and_surrogates_lead_where_it_fails(tmp_path):
    drawn = [d.image for d in Dummy(size=16).draw([Brief("X", i) for i in range(40)])]
    Tiny.learn(drawn, ["withdrawn"] * 40, tmp_path, seed=0, size=16, channels=1, widths=[8, 16], epochs=2)
    model = Tiny(model=str(tmp_path), steps=4)
    caught = [i for i in range(40) if Black().predict_proba([drawn[i]])[0, 1] > 0.5][:8]
    seeds = [Seed(str(i), drawn[i], "withdrawn") for i in caught]
    won = {}
    for strength in (0.0, 1.0):
        target = Black()
        strategy = GuidedDiffusion(image_model=model, surrogates=[Bright()], strength=strength, unguided=0, strengths=(0.5,))
        found = engine.attack(strategy, target, seeds, Agrees(), budget=8, medium=IMAGES)
        assert sum(o.queries for o in found) == target.rows
        samples = [o.sample for o in found if o.status == "success"]
        won[strength] = len(samples)
        assert all(json.loads(s.parameters)["guided"]["surrogates"] == [repr(strategy.surrogates[0])] for s in samples)
    assert len(seeds) == 8
    assert won[1.0] > won[0.0], f"the surrogate moved nothing: {won}"


def test_what_cannot_steer_is_said_before_any_work(image_job, black_box):
    def checked(**strategy):
        attack = {"strategy": {"kind": "guided", **strategy}}
        check.inputs(jobs.load(image_job(target=black_box, retrain="none", synth={"model": TINY}, attack=attack)))

    checked(surrogates=SURROGATES)
    with pytest.raises(JobError, match=r"needs a target that gives gradients .*Fix: `surrogates: \[residual, mlp\]`"):
        checked()
    with pytest.raises(JobError, match=r"`surrogates`: expected targets that give gradients .*; got 'onnx'"):
        checked(surrogates=[black_box])
    with pytest.raises(JobError, match="`guides`: expected architectures, or a `kind`"):
        checked(surrogates=["residual"], guides=[3])
    with pytest.raises(JobError, match="architecture"):
        checked(surrogates=["resnet"])
    with pytest.raises(JobError, match="skip and unguided >= 0"):
        GuidedDiffusion(image_model=type("G", (), {"guidable": True})(), every=0)
