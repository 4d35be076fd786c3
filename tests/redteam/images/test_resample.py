"""Search by scores alone: what it asks of a generator, and that it comes nearer where nearness can be seen."""

from __future__ import annotations

import json

import numpy as np
import pytest

from redteam import engine
from redteam.engine import Seed
from redteam.images.resample import Resample
from sparring import vision
from sparring.errors import JobError
from sparring.media import IMAGES
from sparring.protocols import Drawn, Verdict

WORDS = ("dim", "plain", "bright")
TONES = dict(zip(WORDS, (40, 90, 140), strict=True))


class Painter:
    """Paints a tone by the prompt's last word, or goes a little up or down from its start; remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def draw(self, briefs):
        self.asked += briefs
        out = []
        for brief in briefs:
            rng = np.random.default_rng(brief.seed)
            tone = TONES[brief.prompt.split()[-1]] if brief.prompt else 60
            if brief.start is not None:
                tone = 0.7 * vision.decoded(brief.start).mean() + 0.3 * tone + rng.uniform(-6, 14)
            image = np.full((16, 16, 1), tone).clip(0, 255).astype(np.uint8) + rng.integers(0, 3, (16, 16, 1), dtype=np.uint8)
            out.append(Drawn(vision.png(image), json.dumps({"seed": brief.seed})))
        return out


class Dark:
    """Violating where it is dark; gives scores and nothing else."""

    labels, threshold = ("benign", "night"), 0.5

    def predict_proba(self, samples):
        dark = 1 - vision.pixels(samples, size=16, channels=1).mean((1, 2, 3)) / 255
        return np.stack([1 - dark, dark], 1).astype(np.float32)


class Agrees:
    def assess(self, seeds, samples, labels):
        return [Verdict(True, 1.0)] * len(samples)


SEED = Seed("1", vision.png(np.full((16, 16), 20, np.uint8)), "night")


def run(strategy, budget=60):
    return engine.attack(strategy, Dark(), [SEED], Agrees(), budget=budget, medium=IMAGES)[0]


def test_noise_prompts_and_attributes_are_tried_and_what_came_nearest_is_drawn_anew():
    painter = Painter()
    strategy = Resample(
        image_model=painter, noises=4, width=2, prompts=["a photo of {}, {light}", "a print of {}, {light}"],
        attributes={"light": ["dim", "plain"]},
    )  # fmt: skip
    found = run(strategy)
    fresh, again = painter.asked[:4], painter.asked[4:]
    assert all(brief.start is None for brief in fresh)
    assert {brief.prompt.split(" of ")[0] for brief in fresh} == {"a photo", "a print"}
    assert all("night" in brief.prompt for brief in fresh)
    assert again
    assert all(brief.start is not None and brief.strength == 0.5 for brief in again)
    assert found.status == "success", "it did not come nearer step by step"
    said = json.loads(found.sample.parameters)
    assert said["attributes"]["light"] in WORDS
    assert found.sample.steps[0].name == "search"
    assert found.queries <= 60


def test_an_attribute_that_helps_is_found():
    strategy = Resample(image_model=Painter(), prompts=["{} {light}"], attributes={"light": WORDS}, noises=12)
    found = run(strategy, 14)
    assert found.status == "success"
    assert json.loads(found.sample.parameters)["attributes"] == {"light": "bright"}


def test_mistakes_are_said():
    with pytest.raises(JobError, match=r"prompts name \['light'\], attributes are \['time'\]"):
        Resample(image_model=Painter(), prompts=["{} {light}"], attributes={"time": ["noon"]})
    with pytest.raises(JobError, match="noises and width >= 1"):
        Resample(image_model=Painter(), width=0)
