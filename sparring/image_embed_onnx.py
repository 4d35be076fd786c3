"""An embedder of images out of an ONNX file: any backbone that somebody exported, whatever library it came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .embed import unit
from .targets.image_onnx import ImageOnnx


class Onnx:
    """Unit vectors of what an ONNX model gives for images, run by ONNX Runtime: of the output of that name, or the one called
    logits, or the first.

    `model` is a file, or a folder with `file`. The other settings are those of the image target `onnx` and say how an image
    goes in: `size`, `resize`, `mean`, `std`, `scale`, `channels`, `batch_size`, `providers`.
    """

    def __init__(self, *, model: str, output: str | None = None, **reading: Any):
        self.name, self._output = model if output is None else f"{model}:{output}", output
        self._reader = ImageOnnx(model=model, **reading)
        self._reader.check(())
        self.dim = self._reader.values([_blank()], output).shape[1]

    def __repr__(self) -> str:
        return f"Onnx({self.name!r}, {self._reader!r})"

    def encode(self, images: Sequence[bytes]) -> np.ndarray:
        """(n, dim) float32. Raises `DataError` for a file that can't be read, with its row."""
        if not len(images):
            return np.zeros((0, self.dim), np.float32)
        return unit(self._reader.values(list(images), self._output))


def _blank() -> bytes:
    from .vision import png

    return png(np.full((64, 64, 3), 255, np.uint8))
