from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from redteam.images import pixel
from sparring import nets, vision


class Digits:
    """Eights and nines are not allowed. Counts the rows that it is asked for, by files and by gradient."""

    labels, threshold, gradients = ("benign", "high"), 0.5, True

    def __init__(self, module):
        self.module, self.rows = module, 0

    def logits(self, images):
        self.rows += len(images)
        if images.shape[2:] != (8, 8):
            images = torch.nn.functional.interpolate(images, (8, 8), mode="bilinear")
        return self.module(images)

    def predict_proba(self, samples):
        self.rows += len(samples)
        x = vision.tensor(vision.pixels(samples, size=8, channels=1))
        return torch.from_numpy(nets.logits(self.module, x)).softmax(1).numpy()


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """(1797, 8, 8, 1) uint8 and (1797,) whether a digit is an eight or a nine."""
    found = load_digits()
    return (found.images * 15.9).astype(np.uint8)[..., None], found.target >= 8


@pytest.fixture(scope="session")
def trained(digits):
    pixels, high = digits
    x, y = vision.tensor(pixels[:1200]), torch.from_numpy(high[:1200].astype(np.int64))

    def go(augment=None):
        return nets.train(nets.build("cnn", channels=1, size=8, labels=2, seed=0), x, y, epochs=12, seed=0, augment=augment)

    return {"plain": go(), "fgsm": go(pixel.adversarial(20 / 255))}


@pytest.fixture
def target(trained):
    return Digits(trained["plain"])


@pytest.fixture
def violating(digits) -> list[bytes]:
    """Files of eights and nines that no net was trained on."""
    pixels, high = digits
    return [vision.png(p) for p in pixels[1200:][high[1200:]][:60]]
