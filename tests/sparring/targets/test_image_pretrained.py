"""A classifier of images that transformers saved, used as it is: random weights, made here from configurations."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from sparring import registry, vision
from sparring.errors import DataError, JobError, ReferenceNotFound
from sparring.protocols import violation_scores

NAMES = ("benign", "withdrawn", "forged")


def file(seed: int, *shape: int) -> bytes:
    """A picture of coarse blocks, so that a resize keeps something of it."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, *shape[2:]), dtype=np.uint8)
    return vision.png(np.asarray(Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)))


IMAGES = [file(0, 24, 24), file(1, 24, 24, 3), file(2, 50, 31, 3), file(3, 17, 80, 3), file(4, 33, 33)]


def made(folder, **settings):
    given = {"model": str(folder), "batch_size": 2} | settings
    return registry.make("image_target", "pretrained", **given).with_labels(NAMES)


def own(folder, activation="softmax"):
    """What transformers itself says of the images, one by one."""
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = AutoModelForImageClassification.from_pretrained(folder).eval()
    rows = [processor(images=Image.open(io.BytesIO(i)).convert("RGB"), return_tensors="pt") for i in IMAGES]
    with torch.inference_mode():
        logits = torch.cat([model(**row).logits for row in rows])
    return (logits.softmax(1) if activation == "softmax" else logits.sigmoid()).numpy()


@pytest.mark.parametrize("family", ["vit", "convnext", "siglip"])
def test_probabilities_are_those_of_transformers_and_of_its_gradients_path(saved_images, family):
    folder = saved_images(family)
    target = made(folder)
    p = target.predict_proba(IMAGES)
    np.testing.assert_allclose(p, own(folder), atol=1e-5)
    assert np.ptp(p[:, 0]) > 0.05, "the images hardly differ: the test shows little"
    for i, image in enumerate(IMAGES):
        z = target.logits(vision.tensor(vision.decoded(image)[None])).softmax(1).detach().numpy()
        np.testing.assert_allclose(z[0], p[i], atol=0.03)
    assert "torchvision" not in sys.modules


@pytest.mark.parametrize("family", ["vit", "convnext"])
def test_logits_change_as_their_gradient_says(saved_images, family):
    target = made(saved_images(family))
    x = vision.tensor(vision.decoded(IMAGES[1])[None]).requires_grad_()
    margin = target.logits(x)[0, 1] - target.logits(x)[0, 0]
    (slope,) = torch.autograd.grad(margin, x)
    step = 1e-2 * slope / slope.abs().max()
    with torch.no_grad():
        after, before = (target.logits(x + s) for s in (step, -step))
    risen = float((after[0, 1] - after[0, 0]) - (before[0, 1] - before[0, 0]))
    assert risen == pytest.approx(2 * float((slope * step).sum()), rel=0.1)


@pytest.mark.parametrize("settings", [
    {}, {"labels": {"benign": "benign", "withdrawn": "withdrawn", "forged": "withdrawn"}},
    {"labels": {"withdrawn": "withdrawn"}}, {"labels": {"withdrawn": "withdrawn", "forged": "forged"}, "activation": "sigmoid"},
    {"activation": "sigmoid"},
    {"labels": {"withdrawn": "withdrawn", "forged": "forged"}, "thresholds": {"withdrawn": 0.2, "forged": 0.5}},
])  # fmt: skip
def test_logits_are_the_log_odds_of_the_score_that_a_job_sees(saved_images, settings):
    target = made(saved_images("vit"), **settings)
    square = IMAGES[:2]  # of the net's own size, so that no resize rounds
    scores = violation_scores(target, square)
    with torch.no_grad():
        seen = torch.cat([target.logits(vision.tensor(vision.decoded(i)[None])) for i in square])
    assert seen.shape == (2, 3)
    odds = (1 - seen.softmax(1)[:, 0]).numpy()
    if "thresholds" in settings:
        assert ((odds > 0.5) == (scores > 0.5)).all()
    else:
        np.testing.assert_allclose(odds, scores, atol=1e-4)


def test_a_multi_label_model_goes_through_a_sigmoid_by_its_own_config(saved_images):
    folder = saved_images("vit", problem_type="multi_label_classification")
    p = made(folder, labels={"withdrawn": "withdrawn", "forged": "forged"}).predict_proba(IMAGES)
    np.testing.assert_allclose(p[:, 1:], own(folder, "sigmoid")[:, 1:], atol=1e-5)
    np.testing.assert_allclose(p[:, 0], 1 - p[:, 1:].max(1), atol=1e-6)


def test_classes_with_other_names_need_a_map_and_the_error_writes_it(saved_images):
    folder = saved_images("vit", id2label={0: "fine", 1: "x", 2: "y"})
    with pytest.raises(JobError, match="labels:\n    'fine': benign\n    'x': withdrawn"):
        made(folder).predict_proba(IMAGES[:1])


def test_bfloat16_says_nearly_the_same(saved_images):
    folder = saved_images("vit")
    half = made(folder, dtype="bfloat16").predict_proba(IMAGES[:2])
    np.testing.assert_allclose(half, own(folder)[:2], atol=0.05)


def test_a_file_that_cannot_be_read_is_named_by_its_row_across_batches(saved_images):
    with pytest.raises(DataError, match="damaged image in row 3"):
        made(saved_images("vit")).predict_proba([*IMAGES[:3], IMAGES[3][:200]])


def test_a_folder_without_a_processor_or_in_pickle_is_said(saved_images, tmp_path):
    import shutil

    folder = shutil.copytree(saved_images("vit"), tmp_path / "bare")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ReferenceNotFound, match=r"preprocessor_config\.json"):
        made(folder).predict_proba(IMAGES[:1])
    with pytest.raises(ReferenceNotFound, match="expected a file or folder"):
        registry.make("image_target", "pretrained", model=str(tmp_path / "none")).check(NAMES)


def test_a_processor_that_does_more_gives_probabilities_and_refuses_gradients(saved_images):
    target = made(saved_images("siglip2"))
    p = target.predict_proba(IMAGES)
    assert p.shape == (5, 3)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    with pytest.raises(JobError, match=r"gradients: expected an image processor that resizes.*Siglip2"):
        target.logits(torch.zeros(1, 3, 24, 24))
