from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from sparring import nets, registry, vision
from sparring.errors import DataError, JobError, ReferenceNotFound
from sparring.protocols import Brief
from synth.images.training import Settings, train

LABELS = ("dark", "light")


def squares(n: int, seed: int = 0) -> tuple[list[bytes], list[str]]:
    """A grey square somewhere on black, or on white."""
    rng = np.random.default_rng(seed)
    labels = [LABELS[i % 2] for i in range(n)]
    images = []
    for label in labels:
        picture = np.full((16, 16), 0 if label == "dark" else 255, np.uint8)
        x, y = rng.integers(2, 8, 2)
        picture[y : y + 6, x : x + 6] = 128
        images.append(vision.png(picture))
    return images, labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    place = tmp_path_factory.mktemp("tiny")
    images, labels = squares(192)
    settings = Settings(size=16, widths=(16, 32), epochs=16, batch=16, lr=4e-3)
    before = torch.get_rng_state()
    told = []
    trained = train(images, labels, settings, progress=lambda done, total: told.append((done, total)))
    assert torch.equal(before, torch.get_rng_state())
    assert told == [(i + 1, 16) for i in range(16)]
    assert trained.losses[-1] < 0.6 * trained.losses[0]
    trained.pipeline.save(place)
    return place


@pytest.fixture(scope="module")
def model(folder):
    return registry.make("image_model", "tiny", model=str(folder), steps=6)


BRIEFS = [Brief(LABELS[i % 2], seed=i) for i in range(40)]


def shades(files: list[bytes]) -> np.ndarray:
    return np.median(vision.pixels(files, size=16, channels=1).reshape(len(files), -1), axis=1)


def test_draws_what_the_label_says(model):
    drawn = model.draw(BRIEFS)
    light = shades([d.image for d in drawn]) > 127
    assert np.mean(light == np.array([b.label == "light" for b in BRIEFS])) >= 0.95
    assert len({d.image for d in drawn}) == len(BRIEFS)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_image_depends_on_its_brief_alone(model, folder, dtype):
    model = replace(model, dtype=dtype)
    images = [d.image for d in model.draw(BRIEFS)]
    assert [d.image for d in model.draw(BRIEFS[::-1])][::-1] == images
    assert [model.draw([b])[0].image for b in BRIEFS[:6]] == images[:6]
    for batch_size in (1, 5, 16, 23):
        assert [d.image for d in replace(model, batch_size=batch_size).draw(BRIEFS)] == images
    assert [d.image for d in model.draw([replace(b, seed=b.seed + 1) for b in BRIEFS])] != images
    again = registry.make("image_model", "tiny", model=str(folder), steps=6, dtype=dtype)
    assert [d.image for d in again.draw(BRIEFS)] == images


def test_in_bfloat16_the_images_are_nearly_the_same_and_the_record_says_so(model):
    half = replace(model, dtype="bfloat16")
    images = [vision.pixels([d.image for d in m.draw(BRIEFS)], size=16, channels=1).astype(float) for m in (model, half)]
    assert 0 < np.abs(images[0] - images[1]).mean() < 4
    assert half.settings()["dtype"] == "bfloat16"
    assert "dtype" not in model.settings(), "an older record says the same"


def test_from_an_image_less_noise_keeps_more_of_it(model):
    starts, labels = squares(24, seed=5)
    was = vision.pixels(starts, size=16, channels=1).astype(float)
    away = []
    for strength in (0.2, 0.6, 1.0):
        briefs = [Brief(label, i, start=s, strength=strength) for i, (s, label) in enumerate(zip(starts, labels, strict=True))]
        drawn = model.draw(briefs)
        away.append(np.abs(vision.pixels([d.image for d in drawn], size=16, channels=1) - was).mean())
    assert away[0] < away[1] < away[2]
    mixed = [replace(b, strength=0.2) if i % 2 else b for i, b in enumerate(briefs)]
    together, alone = model.draw(mixed), [model.draw([b])[0] for b in mixed]
    assert together == alone, "briefs of several strengths may stand in one call"


def test_a_record_holds_what_makes_the_image_again(model):
    start = squares(1)[0][0]
    brief = Brief("light", 7, start=start, strength=0.5)
    said = json.loads(model.draw([brief])[0].parameters)
    assert (said["steps"], said["guidance"], said["label"], said["seed"], said["strength"]) == (6, 2.0, "light", 7, 0.5)
    assert len(said["start"]) == 24
    assert "start" not in json.loads(model.draw([Brief("light", 7)])[0].parameters)
    described = model.describe()
    assert described["name"] == "tiny"
    assert len(described["revision"]) == 24
    assert "/" not in described["model"], "where it lies is nobody's business"


def test_guidance_only_in_part_of_the_steps_is_another_image(model):
    whole, part, none = (
        [d.image for d in replace(model, **change).draw(BRIEFS[:4])] for change in ({}, {"guided_to": 0.5}, {"guidance": 1.0})
    )
    assert whole != part != none
    assert [d.image for d in replace(model, guided_to=0.0).draw(BRIEFS[:4])] == none


def test_the_same_training_gives_the_same_weights(tmp_path):
    images, labels = squares(24)
    made = [train(images, labels, Settings(size=16, widths=(8, 16), epochs=2, seed=seed)).pipeline for seed in (0, 0, 1)]
    weights = [torch.cat([p.flatten() for p in m.unet.parameters()]) for m in made]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_colour_is_trained_on_as_well():
    images, labels = squares(24)
    made = train(images, labels, Settings(size=16, channels=3, widths=(8, 16), epochs=1)).pipeline
    x = vision.tensor(vision.pixels(images[:3], size=16, channels=3))
    assert torch.allclose(made.decode(made.encode(x)), x, atol=1e-6)
    assert made.unet.config.in_channels == 12


def test_the_net_has_about_a_million_and_a_half_parameters():
    from synth.images.tiny import Pipeline

    made = Pipeline.new([str(i) for i in range(10)], size=28, channels=1, fold=2, widths=Settings().widths, seed=0)
    assert 1.2e6 < sum(p.numel() for p in made.unet.parameters()) < 1.7e6


def test_mistakes_are_said(model, tmp_path):
    with pytest.raises(JobError, match="expected labels out of dark, light; got cat"):
        model.draw([Brief("cat", 0)])
    with pytest.raises(JobError, match=r"expected strength in \(0, 1\], got 0"):
        model.draw([Brief("dark", 0, strength=0)])
    with pytest.raises(ReferenceNotFound, match=r"with tiny.json, found none"):
        registry.make("image_model", "tiny", model=str(tmp_path)).draw([Brief("dark", 0)])
    with pytest.raises(JobError, match="a size that 4 divides"):
        train(*squares(4), Settings(size=18, widths=(8, 16)))
    with pytest.raises(DataError, match="at least 2 images and a label for each"):
        train([b""], ["a"], Settings())
    with pytest.raises(DataError, match="got damaged image in row 1"):
        train([squares(1)[0][0], squares(1)[0][0][:50]], ["a", "b"], Settings(size=16))


def test_out_of_memory_halves_the_batch_and_says_so(model, monkeypatch, caplog):
    """The errors are torch's own classes and words; memory itself cannot be made to run out in a test."""
    real, sizes = type(model).render, []

    def small(self, briefs, wrap):
        sizes.append(len(briefs))
        if len(briefs) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if any(b.seed == 5 for b in briefs):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")
        return real(self, briefs, wrap)

    monkeypatch.setattr(type(model), "render", small)
    drawn = model.draw(BRIEFS[:8])
    assert sizes[:3] == [8, 4, 2]
    assert "out of memory at a batch of 8 images, going on with 4" in caplog.text
    assert [d.reason for d in drawn] == ["", "", "", "", "", "out_of_memory", "", ""]
    assert drawn[5].image is None
    monkeypatch.undo()
    assert [d.image for d in model.draw(BRIEFS[:5])] == [d.image for d in drawn[:5]]


def test_another_error_of_the_net_is_not_taken_for_lack_of_memory(model, monkeypatch):
    monkeypatch.setattr(type(model), "render", lambda *_: (_ for _ in ()).throw(RuntimeError("shape mismatch")))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        model.draw(BRIEFS[:2])


def test_the_dummy_stamps_the_label():
    dummy = registry.make("image_model", "dummy", size=32)
    briefs = [Brief(str(i % 4), i) for i in range(160)]
    files = [d.image for d in dummy.draw(briefs)]
    assert files == [d.image for d in dummy.draw(briefs[::-1])][::-1]
    assert len(set(files)) == len(files)
    net = nets.build("residual", channels=1, size=32, labels=4, seed=0)
    x, y = vision.tensor(vision.pixels(files, size=32, channels=1)), torch.tensor([i % 4 for i in range(160)])
    nets.train(net, x[:120], y[:120], epochs=40, seed=0)
    assert (nets.logits(net, x[120:]).argmax(1) == y[120:].numpy()).mean() > 0.8, "a classifier can learn what they show"
