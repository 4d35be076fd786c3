"""A small network over images that the job trains itself, in seconds on one core."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import pydantic

from .. import nets, vision
from ..errors import JobError
from ..jobs import Count
from . import encoder
from .base import BaseTarget, TrainableTarget


class ImageNet(TrainableTarget):
    """A small network (`cnn`, `residual`, `patches` or `mlp`) trained from scratch; for stamps, digits, small flyers.

    `size` is the side in pixels that images are brought to, `channels` 1 for grey or 3. `augment`: `shifted` turns, scales and
    moves each training image a little. Gives gradients.
    """

    kind = "net"
    gradients = True

    class Settings(BaseTarget.Settings):
        architecture: Literal["cnn", "residual", "patches", "mlp"] = "cnn"
        size: pydantic.PositiveInt = 28
        channels: Literal[1, 3] = 1
        epochs: Count = 15
        augment: Literal["none", "shifted"] = "shifted"

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._module: Any = None

    def fit(self, texts: Sequence[Any], labels: Sequence[str], *, names: tuple[str, ...], seed: int) -> Self:
        """A new target trained on (encoded file, label) rows."""
        import torch

        new = self.with_labels(names)
        number = {name: i for i, name in enumerate(names)}
        y = torch.tensor([number[label] for label in labels], dtype=torch.int64)
        module = self._build(len(names), seed)
        augment = nets.shifted if self.settings.augment == "shifted" else None
        new._module = nets.train(module, self._tensor(texts), y, epochs=self.settings.epochs, seed=seed, augment=augment)
        return new

    def predict_proba(self, samples: Sequence[Any]) -> np.ndarray:
        self.check_fitted()
        if not len(samples):
            return np.zeros((0, len(self.labels)), np.float32)
        return encoder.softmax(nets.logits(self._module, self._tensor(samples)).astype(np.float64)).astype(np.float32)

    def logits(self, images: Any) -> Any:
        """(n, k) of (n, c, h, w) images in [0, 1] of any size and 1 or 3 channels, differentiable."""
        import torch

        self.check_fitted()
        side, channels = self.settings.size, self.settings.channels
        if images.shape[1] != channels:
            images = images.mean(1, keepdim=True) if channels == 1 else images.expand(-1, 3, -1, -1)
        if images.shape[2:] != (side, side):
            images = torch.nn.functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
        device = next(self._module.parameters()).device  # a large generator draws on a GPU
        return self._module(images.to(device)).to(images.device)

    def write(self, folder: pathlib.Path) -> None:
        from safetensors.torch import save_file

        save_file(self._module.state_dict(), folder / "model.safetensors")

    def read(self, folder: pathlib.Path) -> None:
        from safetensors.torch import load_file

        self._module = self._build(len(self.labels), 0)
        try:
            self._module.load_state_dict(load_file(folder / "model.safetensors"))
        except RuntimeError as error:
            first = str(error).strip().splitlines()[-1].strip()
            raise JobError(f"{self.who}: expected weights of {self!r} in {folder.name}, found others: {first}") from error
        self._module.eval()

    def _build(self, labels: int, seed: int) -> Any:
        given = self.settings
        return nets.build(given.architecture, channels=given.channels, size=given.size, labels=labels, seed=seed)

    def _tensor(self, samples: Sequence[bytes]) -> Any:
        return vision.tensor(vision.pixels(samples, size=self.settings.size, channels=self.settings.channels))
