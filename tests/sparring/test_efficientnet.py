"""A backbone over ImageNet that somebody else trained, as a target and as an embedder, through ONNX and without torchvision."""

from __future__ import annotations

import pathlib
import runpy
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image

from sparring import registry, vision
from sparring.errors import JobError
from sparring.media import IMAGES

LITE0 = runpy.run_path(str(pathlib.Path(__file__).with_name("efficientnet.py")))
INPUT = LITE0["INPUT"]
DAISY, PALACE = 985, 698  # of ImageNet's classes


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    file = tmp_path_factory.mktemp("lite0") / "lite0.onnx"
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            LITE0["trained"](), (torch.zeros(2, 3, 224, 224),), file, input_names=["image"],
            output_names=["logits", "features"], dynamic_axes={"image": {0: "n"}}, dynamo=False,
        )  # fmt: skip
    return str(file)


@pytest.fixture(scope="module")
def photos() -> dict[str, bytes]:
    """Two photographs that scikit-learn ships."""
    return {name: vision.png(load_sample_image(f"{name}.jpg")) for name in ("flower", "china")}


def test_a_trained_backbone_is_a_target_and_knows_what_photographs_show(path, photos):
    labels = {str(PALACE): "withdrawn"}  # benign as far as it is no palace
    target = registry.make("image_target", "onnx", model=path, labels=labels, **INPUT)
    target = target.with_labels(("benign", "withdrawn"))
    raw = target.values([photos["china"], photos["flower"]])
    assert raw.shape == (2, 1000)
    assert PALACE in np.argsort(-raw[0])[:5]
    assert raw[1, DAISY] > raw[0, DAISY]
    p = target.predict_proba([photos["china"], photos["flower"]])
    assert p[0, 1] > p[1, 1]


def test_it_is_an_embedder_in_which_an_upload_stays_near_and_another_photograph_does_not(path, photos):
    embedder = registry.make("image_embedder", "onnx", model=path, output="features", **INPUT)
    uploads = [IMAGES.flat(file) for file in photos.values()]
    vectors = embedder.encode([*photos.values(), *uploads])
    assert (vectors.shape, vectors.dtype, embedder.dim) == ((4, 1280), np.float32, 1280)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    near = vectors[:2] @ vectors[2:].T
    assert near.diagonal().min() > 0.8
    assert near.diagonal().min() > near[[0, 1], [1, 0]].max() + 0.3
    assert embedder.encode([]).shape == (0, 1280)
    with pytest.raises(JobError, match="expected an output out of logits, features; got 'none'"):
        registry.make("image_embedder", "onnx", model=path, output="none", **INPUT)
