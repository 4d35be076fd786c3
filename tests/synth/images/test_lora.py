from __future__ import annotations

import json
import math
import pathlib
import runpy
import sys

import numpy as np
import pytest
import torch

from sparring import registry, vision
from sparring.errors import DataError, JobError, MissingExtra
from sparring.protocols import Brief
from synth.images.lora import Settings, _predictor, train

pytest.importorskip("peft")
BUILD = runpy.run_path(str(pathlib.Path(__file__).with_name("pipelines.py")))["build"]
STAMPS = [vision.png(np.random.default_rng(i).integers(0, 255, (32, 32, 3), dtype=np.uint8)) for i in range(3)]


@pytest.mark.parametrize("kind", ["sdxl", "sd3", "flux"])
def test_two_steps_leave_an_adapter_that_changes_what_is_drawn(kind, tmp_path):
    BUILD(kind, tmp_path / "model")

    def model(**settings):
        return registry.make(
            "image_model", "diffusion", model=str(tmp_path / "model"), steps=2, height=32, width=32, **settings
        )

    before = torch.get_rng_state()
    losses = train(model(), STAMPS, ["cat", "dog", "cat"], Settings(steps=2, batch=2, lr=0.05, rank=4), tmp_path / "lora")
    assert torch.equal(before, torch.get_rng_state())
    assert len(losses) == 2
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    assert (tmp_path / "lora" / "pytorch_lora_weights.safetensors").stat().st_size > 1000
    said = json.loads((tmp_path / "lora" / "lora.json").read_text(encoding="utf-8"))
    assert (said["images"], said["rank"], len(said["revision"])) == (3, 4, 24)
    briefs = [Brief("cat", 1)]
    plain, tuned, none = (
        model(**s).draw(briefs)[0]
        for s in ({}, {"lora": str(tmp_path / "lora")}, {"lora": str(tmp_path / "lora"), "lora_scale": 0.0})
    )
    assert tuned.image != plain.image
    assert none.image == plain.image
    assert len(json.loads(tuned.parameters)["lora"]) == 24


def test_mistakes_are_said(tmp_path, monkeypatch):
    BUILD("sdxl", tmp_path)
    model = registry.make("image_model", "diffusion", model=str(tmp_path), height=32, width=32)
    with pytest.raises(DataError, match="got 3 and 1"):
        train(model, STAMPS, ["cat"], Settings(), tmp_path / "lora")
    with pytest.raises(JobError, match="SD3 or FLUX; got object"):
        _predictor(object())
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match="needs the package peft"):
        train(model, STAMPS, ["a", "b", "c"], Settings(), tmp_path / "lora")
