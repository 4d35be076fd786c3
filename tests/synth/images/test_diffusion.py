from __future__ import annotations

import json
import pathlib
import runpy
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from redteam.images.guided import Guided
from sparring import registry, vision
from sparring.errors import JobError, MissingExtra, ReferenceNotFound
from sparring.protocols import Brief

BUILD = runpy.run_path(str(pathlib.Path(__file__).with_name("pipelines.py")))["build"]
KINDS = ("sdxl", "sd3", "flux")
START = vision.png(np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1)))
BRIEFS = {
    "text": [Brief("cat", 1, prompt="a cat"), Brief("dog", 2)],
    "image": [Brief("cat", 1, start=START, strength=0.6), Brief("dog", 2, start=START, strength=0.6)],
}
BOX = (0.5, 0.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory):
    made = {}
    for kind in (*KINDS, "checked"):
        folder = tmp_path_factory.mktemp(kind)
        BUILD(kind, folder)
        made[kind] = registry.make("image_model", "diffusion", model=str(folder), steps=4, height=32, width=32)
    return made


def images(drawn) -> np.ndarray:
    assert [d.reason for d in drawn] == [""] * len(drawn)
    return vision.pixels([d.image for d in drawn], size=32, channels=3).astype(float)


@pytest.mark.parametrize("kind", KINDS)
def test_text_to_image_image_to_image_and_inpainting_are_the_same_again(models, kind):
    model = models[kind]
    assert not any(part.training for part in model.pipeline.components.values() if isinstance(part, torch.nn.Module))
    inpainting = replace(model, inpaint=BOX)
    vars(inpainting).update(pipeline=model.pipeline)
    for way, briefs in ((model, "text"), (model, "image"), (inpainting, "image")):
        torch.manual_seed(3)
        before = torch.get_rng_state()
        first = way.draw(BRIEFS[briefs])
        assert torch.equal(before, torch.get_rng_state()), "no global randomness"
        assert way.draw(BRIEFS[briefs]) == first
        assert way.draw(BRIEFS[briefs][::-1])[::-1] == first
        assert (images(first)[0] != images(first)[1]).any()
    alone = [model.draw([b])[0] for b in BRIEFS["text"]]
    assert np.abs(images(alone) - images(model.draw(BRIEFS["text"]))).max() <= 1, "another batch may round a pixel otherwise"


@pytest.mark.parametrize("kind", KINDS)
def test_from_an_image_less_noise_keeps_more_of_what_the_autoencoder_keeps(models, kind):
    model = models[kind]
    vae = model.pipeline.vae
    with torch.no_grad():
        x = vision.tensor(vision.pixels([START], size=32, channels=3)) * 2 - 1
        kept = vae.decode(vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
    kept = ((kept / 2 + 0.5) * 255).permute(0, 2, 3, 1).numpy()
    away = [
        np.abs(images(model.draw([Brief("cat", i, start=START, strength=s) for i in range(4)])) - kept).mean()
        for s in (0.25, 0.5, 1.0)
    ]
    assert away[0] < away[1] < away[2]


@pytest.mark.parametrize("kind", KINDS)
def test_guided_sampling_raises_what_it_climbs(models, kind):
    class Red:
        labels = ("cat", "red")
        threshold = 0.5

        def logits(self, x):
            redness = 40 * (x[:, 0] - x[:, 1:].mean(1)).mean((1, 2))
            return torch.stack([-redness, redness], 1)

    model, target = models[kind], Red()
    briefs = [Brief("cat", i) for i in range(3)]

    def redness(**settings) -> np.ndarray:
        wrap = Guided(targets=[target], clamp=50, **settings).wrap if settings else None
        drawn = model.draw(briefs, wrap=wrap)
        assert model.draw(briefs, wrap=wrap) == drawn
        x = images(drawn)
        return (x[..., 0] - x[..., 1:].mean(-1)).mean((1, 2))

    plain, little, much = redness(), redness(strength=0.1), redness(strength=0.5)
    assert (plain < little).all()
    assert (little < much).all()
    assert (redness(strength=0.5, every=2) < much).all()
    scheduler = model.pipeline.scheduler
    assert "step" not in vars(scheduler), "the pipeline has its own scheduler back"


@pytest.mark.parametrize("kind", KINDS)
def test_latents_decode_as_the_pipeline_decodes_them(models, kind):
    """The scale, the shift and the packing are those of each pipeline: checked against its own output."""
    made = models[kind].pipeline
    ask = {"prompt": "a cat", "num_inference_steps": 2, "height": 32, "width": 32}
    latents, image = (
        made(**ask, generator=torch.Generator().manual_seed(0), output_type=form).images for form in ("latent", "np")
    )
    found = models[kind].decode(latents).permute(0, 2, 3, 1).detach().numpy()
    assert np.allclose(found, image, atol=1e-5)


def test_a_black_image_of_a_safety_checker_is_an_outcome_without_an_image(models):
    (drawn,) = models["checked"].draw([Brief("cat", 1)])
    assert (drawn.image, drawn.reason) == (None, "safety_checker")
    assert json.loads(drawn.parameters)["seed"] == 1
    assert models["checked"].draw(BRIEFS["image"])[0].reason == "safety_checker"


def test_a_record_holds_what_makes_the_image_again(models):
    model = models["sdxl"]
    said = json.loads(model.draw([Brief("cat", 5, prompt="a red cat", start=START, strength=0.5)])[0].parameters)
    assert (said["scheduler"], said["steps"], said["seed"], said["prompt"]) == ("EulerDiscreteScheduler", 4, 5, "a red cat")
    assert (said["height"], said["width"], said["dtype"], said["strength"]) == (32, 32, "float32", 0.5)
    assert len(said["revision"]) == len(said["start"]) == 24
    assert model.describe()["revision"] == said["revision"]
    assert "/" not in model.describe()["model"]


def test_scheduler_and_guidance_and_batches_are_settings(models):
    model = models["sdxl"]
    folder = model.model
    plain = images(model.draw(BRIEFS["text"]))
    for change in ({"scheduler": "DDIMScheduler"}, {"guidance": 1.0}, {"negative_prompt": "dull"}, {"template": "photo of {}"}):
        other = registry.make("image_model", "diffusion", model=folder, steps=4, height=32, width=32, **change)
        assert (images(other.draw(BRIEFS["text"])) != plain)[1].any(), change
    ancestral = replace(model, scheduler="EulerAncestralDiscreteScheduler")
    for wrap in (None, Guided(targets=[Grey()], strength=0.1).wrap):
        assert ancestral.draw(BRIEFS["text"], wrap=wrap) == ancestral.draw(BRIEFS["text"], wrap=wrap), "its noise is seeded too"
    with pytest.raises(JobError, match="takes no eyes"):
        replace(model, call={"eyes": 2}).draw(BRIEFS["text"])
    with pytest.raises(JobError, match="expected a scheduler of diffusers, got 'Eular'"):
        replace(model, scheduler="Eular").draw(BRIEFS["text"])


class Grey:
    labels = ("cat", "dog")
    threshold = 0.5

    def logits(self, x):
        mean = x.mean((1, 2, 3))
        return torch.stack([-mean, mean], 1)


def test_mistakes_are_said(models, monkeypatch):
    folder = models["sdxl"].model
    with pytest.raises(ReferenceNotFound, match="absent"):
        registry.make("image_model", "diffusion", model="absent")
    with pytest.raises(JobError, match="left < right and top < bottom"):
        registry.make("image_model", "diffusion", model=folder, inpaint=(0.5, 0, 0.5, 1))
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    quantised = registry.make("image_model", "diffusion", model=folder, quantise="4bit")
    with pytest.raises(MissingExtra, match="quantised diffusion needs the package bitsandbytes"):
        quantised.draw(BRIEFS["text"])


def test_the_batch_is_what_half_of_the_free_memory_holds(models):
    from synth.images.diffusion import MOST, WITHOUT_GPU, fitting

    assert fitting(20_000, 2_000) == 5
    assert (fitting(1_000, 2_000), fitting(10**9, 1)) == (1, MOST)
    model = replace(models["sdxl"], batch_size="auto", device="cpu")
    assert model.rows_at_once(BRIEFS["text"][0]) == WITHOUT_GPU
    assert [d.image for d in model.draw(BRIEFS["text"])] == [d.image for d in models["sdxl"].draw(BRIEFS["text"])]
    with pytest.raises(JobError, match="as a number or auto, got 'many'"):
        replace(models["sdxl"], batch_size="many")
