from __future__ import annotations

import numpy as np
import pytest
import torch

from redteam.images import pixel
from sparring import nets, vision
from sparring.errors import JobError
from sparring.protocols import decided

from .conftest import Digits

EPSILON = 20 / 255


def accuracy(module, x, y) -> float:
    return float((nets.logits(module, x).argmax(1) == y.numpy()).mean())


@pytest.fixture
def unseen(digits):
    pixels, high = digits
    return vision.tensor(pixels[1200:1500]), torch.from_numpy(high[1200:1500].astype(np.int64))


def test_pgd_beats_fgsm_beats_noise_within_the_same_distance(trained, unseen):
    x, y = unseen
    module = trained["plain"]
    module.zero_grad()
    noise = (x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).sign() * EPSILON).clamp(0, 1)
    one, many = pixel.fgsm(module, x, y, EPSILON), pixel.pgd(module, x, y, EPSILON, steps=20)
    for moved in (one, many):
        assert (moved - x).abs().max() <= EPSILON + 1e-6
        assert 0 <= moved.min() <= moved.max() <= 1
        assert not moved.requires_grad
    assert accuracy(module, x, y) > 0.95
    assert accuracy(module, noise, y) > accuracy(module, one, y) + 0.1
    assert accuracy(module, one, y) >= accuracy(module, many, y)
    assert all(p.grad is None for p in module.parameters())


def test_targeted_goes_to_the_label_that_is_named(trained, unseen):
    x, _ = unseen
    wanted = torch.ones(len(x), dtype=torch.int64)
    clean, moved = (
        nets.logits(trained["plain"], images)[:, 1].mean()
        for images in (x, pixel.fgsm(trained["plain"], x, wanted, EPSILON, targeted=True))
    )
    assert moved > clean + 1


def test_adversarial_training_raises_accuracy_under_attack_and_keeps_it_on_clean_images(trained, unseen):
    x, y = unseen
    under = {name: accuracy(m, pixel.pgd(m, x, y, EPSILON, steps=10), y) for name, m in trained.items()}
    assert under["fgsm"] > under["plain"] + 0.1
    assert accuracy(trained["fgsm"], x, y) > 0.93


def test_the_augment_follows_its_generator_and_leaves_a_share_alone(trained, unseen):
    x, y = unseen
    augment = pixel.adversarial(EPSILON, share=0.5)
    one, two = (augment(trained["plain"], x, y, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)
    changed = (one != x).flatten(1).any(1).float().mean()
    assert 0.4 < changed < 0.6
    assert torch.equal(pixel.adversarial(EPSILON, share=0)(None, x, y, torch.Generator()), x)


@pytest.mark.parametrize(("method", "budget"), [("fgsm", 3), ("pgd", 12), ("square", 60)])
def test_success_distance_and_cost_are_those_of_the_files(target, violating, method, budget):
    found = pixel.evade(target, violating, method=method, epsilon=0.1, budget=budget, seed=1)  # 25.5 steps: 25 in a file
    assert sum(e.queries for e in found) == target.rows
    assert max(e.queries for e in found) <= budget
    p = target.predict_proba([e.image for e in found])
    benign = decided(p, target.threshold) == 0
    assert [e.success or e.missed for e in found] == benign.tolist()
    assert np.allclose([e.score for e in found], 1 - p[:, 0], atol=1e-6)
    for before, e in zip(violating, found, strict=True):
        change = vision.decoded(e.image).astype(int) - vision.decoded(before)
        assert np.abs(change).max() <= 25
        assert (e.image == before) is e.missed
    attacked = [e for e in found if not e.missed]
    assert np.mean([e.success for e in attacked]) > (0.25 if method == "square" else 0.5)
    assert all(e.queries == 1 for e in found if e.missed)


def test_square_stops_at_the_first_success_and_needs_no_gradients(target, violating):
    target.gradients = False
    found = pixel.evade(target, violating, method="square", epsilon=0.1, budget=60)
    won = [e.queries for e in found if e.success]
    assert min(won) < 10
    assert len(won) > 2 * sum(e.success for e in pixel.evade(target, violating, method="square", epsilon=0.1, budget=2))
    assert all(e.queries == 60 for e in found if not e.success and not e.missed)


@pytest.mark.parametrize("method", ["pgd", "square"])
def test_what_comes_of_an_image_depends_on_no_other(target, violating, method):
    together = pixel.evade(target, violating[:10], method=method, epsilon=0.1, budget=20)
    alone = [pixel.evade(target, [image], method=method, epsilon=0.1, budget=20)[0] for image in violating[:10]]
    assert [e.image for e in together] == [e.image for e in alone]
    again = pixel.evade(target, violating[:10], method=method, epsilon=0.1, budget=20)
    assert together == again


def test_images_of_several_sizes_go_in_one_call():
    module = nets.build("cnn", channels=1, size=8, labels=2, seed=0).eval()
    target = Digits(module)
    target.threshold = 0.0
    images = [vision.png(np.full(shape, 120, np.uint8)) for shape in [(8, 8), (1, 30), (9, 5), (8, 8)]]
    for method in ("square", "pgd"):
        out = pixel.evade(target, images, method=method, budget=4)
        assert [vision.decoded(e.image).shape[:2] for e in out] == [(8, 8), (1, 30), (9, 5), (8, 8)]
    assert pixel.evade(target, []) == []


def test_what_it_cannot_do_is_said(target, violating):
    with pytest.raises(JobError, match="with a budget of 3 or more; got 'pgd' with 2"):
        pixel.evade(target, violating, budget=2)
    with pytest.raises(JobError, match="expected a method out of fgsm, pgd, square"):
        pixel.evade(target, violating, method="cw")
    target.gradients = False
    with pytest.raises(JobError, match=r"expected a target with gradients, got Digits\. Fix: method: square"):
        pixel.evade(target, violating, method="pgd")
