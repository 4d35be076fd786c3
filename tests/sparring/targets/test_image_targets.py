"""What every registered target of images and every embedder of images promises."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from sparring import registry, vision
from sparring.errors import DataError, JobError, TargetFailed
from sparring.targets.base import BaseTarget, TrainableTarget

NAMES = ("benign", "withdrawn", "forged")


WORDS = ("OFFER", "HOTEL", "PRIZE", "LUNCH", "MONEY", "GARDEN")  # one each, for those who read


def stamp(i: int) -> bytes:
    """A grey or coloured picture of its own size, with a word on it."""
    rng = np.random.default_rng(i)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)[..., 0 if i % 2 else slice(None)])
    paper = coarse.resize((160 + 9 * i, 60), Image.Resampling.BICUBIC)
    paper = Image.blend(paper, Image.new(paper.mode, paper.size, "white"), 0.4)
    draw = ImageDraw.Draw(paper)
    draw.rectangle((8, 12, 152, 50), fill="white")
    draw.text((80, 31), WORDS[i], fill="black", font=ImageFont.load_default(30), anchor="mm")
    return vision.png(np.asarray(paper))


def saved_as(kind: str, mode: str, **options) -> bytes:
    held = io.BytesIO()
    Image.open(io.BytesIO(stamp(2))).convert("RGB").convert(mode).save(held, kind, **options)
    return held.getvalue()


STAMPS = [stamp(i) for i in range(6)]
ODD = [
    saved_as("JPEG", "CMYK"), saved_as("GIF", "P"), saved_as("PNG", "RGBA"), saved_as("PNG", "1"), saved_as("WEBP", "RGB"),
    vision.png(np.zeros((1, 300), np.uint8)), vision.png(np.full((1, 1, 3), 9, np.uint8)),
]  # fmt: skip


@pytest.fixture(scope="module")
def settings_of(saved_images, tmp_path_factory):
    """Settings that make each registered part small enough for this suite; targets then answer for `NAMES`."""
    import torch
    from transformers import ViTForImageClassification

    vit = saved_images("vit")

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = ViTForImageClassification.from_pretrained(vit).eval()

        def forward(self, pixel_values):
            return self.inner(pixel_values=pixel_values).logits

    def onnx() -> str:
        path = tmp_path_factory.mktemp("vit-onnx") / "model.onnx"
        with pytest.warns():
            torch.onnx.export(
                Logits(), (torch.zeros(2, 3, 24, 24),), path, input_names=["pixel_values"], output_names=["logits"],
                dynamic_axes={"pixel_values": {0: "n"}}, dynamo=False,
            )  # fmt: skip
        return str(path)

    known = {
        "image_target": {
            "net": lambda: {"size": 16, "epochs": 3, "augment": "none"},
            "onnx": lambda: {"model": onnx(), "classes": list(NAMES), "mean": 0.5, "std": 0.5, "batch_size": 4},
            "pretrained": lambda: {"model": str(vit), "batch_size": 4},
            "reader": lambda: {"target": {"kind": "dummy"}, "side": 160},
        },
        "image_embedder": {
            "onnx": lambda: {"model": onnx(), "mean": 0.5, "std": 0.5, "batch_size": 4},
            "pixels": dict,
            "pretrained": lambda: {"model": str(vit), "batch_size": 4},
        },
    }
    return lambda kind, name: known[kind][name]()


@pytest.fixture(scope="module", params=registry.names("image_target"))
def target(request, settings_of) -> BaseTarget:
    """As a job would have it: fitted, or told the policy's labels."""
    made = registry.make("image_target", request.param, **settings_of("image_target", request.param))
    made.check(NAMES)
    if isinstance(made, TrainableTarget):
        return made.fit(STAMPS * 4, [NAMES[i % 2] for i in range(24)], names=NAMES, seed=3)
    return made.with_labels(NAMES)


@pytest.fixture(scope="module", params=registry.names("image_embedder"))
def embedder(request, settings_of):
    return registry.make("image_embedder", request.param, **settings_of("image_embedder", request.param))


def test_rows_are_probabilities_in_order(target):
    p = target.predict_proba(STAMPS)
    assert (p.shape, p.dtype) == ((6, 3), np.float32)
    assert p.min() >= 0
    assert p.max() <= 1
    assert np.ptp(p, axis=0).max() > 1e-3, "all images look the same to it: the tests of order and batch show nothing"
    np.testing.assert_allclose(target.predict_proba(STAMPS[::-1]), p[::-1], atol=1e-5)


def test_a_row_does_not_depend_on_its_batch(target):
    p = target.predict_proba(STAMPS)
    for i in (0, 5):
        np.testing.assert_allclose(target.predict_proba([STAMPS[i]])[0], p[i], atol=1e-5)
    np.testing.assert_allclose(target.predict_proba(STAMPS * 3)[12:], p, atol=1e-5)


def test_no_images_give_no_rows(target):
    assert target.predict_proba([]).shape == (0, 3)


def test_files_of_every_kind_are_read(target):
    p = target.predict_proba(ODD)
    assert p.shape == (len(ODD), 3)
    assert np.isfinite(p).all()


@pytest.mark.parametrize(("data", "why"), [
    (b"", "no image that can be read"), (b"text", "no image that can be read"), (STAMPS[0][:120], "damaged image"),
    (None, "no image"),
])  # fmt: skip
def test_a_file_that_cannot_be_read_is_a_clear_error(target, data, why):
    where = "" if target.kind == "reader" else " in row 5"  # it reads one at a time
    with pytest.raises(DataError, match=f"expected an image, got {why}{where}$"):
        target.predict_proba([*STAMPS[:5], data])


def test_a_saved_target_says_the_same(target, tmp_path):
    target.threshold, before = 0.37, target.threshold
    try:
        target.save(tmp_path / "target")
        again = type(target).load(tmp_path / "target")
        assert (again.labels, again.threshold) == (NAMES, 0.37)
        np.testing.assert_allclose(again.predict_proba(STAMPS), target.predict_proba(STAMPS), atol=1e-6)
        assert not [p for p in tmp_path.rglob("*") if p.suffix in (".pkl", ".pickle", ".joblib", ".pt")]
        json.loads((tmp_path / "target" / "target.json").read_text(encoding="utf-8"))
    finally:
        target.threshold = before


def test_an_unfitted_target_and_an_unknown_setting_are_said(target, settings_of):
    settings = settings_of("image_target", target.kind)
    with pytest.raises(TargetFailed, match="expected a fitted target"):
        registry.make("image_target", target.kind, **settings).predict_proba(STAMPS)
    with pytest.raises(JobError, match="nonsense"):
        registry.make("image_target", target.kind, **settings, nonsense=1)


def test_gradients_are_of_what_the_target_says(target):
    """Every image's own row, by `logits`, decides as the file does; grey and colour, of any size."""
    import torch

    if not target.gradients:
        assert not hasattr(target, "logits")
        return
    p = target.predict_proba(STAMPS)
    for image, row in zip(STAMPS, p, strict=True):
        x = vision.tensor(vision.decoded(image)[None]).requires_grad_()
        z = target.logits(x)
        assert z.shape == (1, 3)
        np.testing.assert_allclose(z.softmax(1)[0].detach(), row, atol=0.05)
        (slope,) = torch.autograd.grad(z[0, 0] - z[0, 1], x)
        assert slope.shape == x.shape
        assert slope.abs().max() > 0


def test_embeddings_are_unit_rows_that_do_not_depend_on_their_batch(embedder):
    found = embedder.encode([*STAMPS, *ODD[:4]])
    assert (found.shape, found.dtype) == ((10, embedder.dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(embedder.encode(STAMPS[4:5])[0], found[4], atol=1e-5)
    assert (found[:6] @ found[:6].T)[~np.eye(6, dtype=bool)].max() < 0.9999
    assert embedder.encode([]).shape == (0, embedder.dim)
    assert embedder.name
