from __future__ import annotations

import pathlib
from typing import Any, Literal, NamedTuple

import numpy as np
import pydantic

from .. import vision
from ..errors import JobError
from . import encoder
from .fixed import OfImages
from .onnx_file import OnnxFile
from .scores import Scores

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
Triple = float | list[float]


class Input(NamedTuple):
    """What the model takes: images of (height, width), channels first or last, in batches of `batch`."""

    name: str
    first: bool
    channels: int
    height: int
    width: int
    batch: int
    type: Any


class ImageOnnx(OfImages, OnnxFile):
    """An image classifier in ONNX, run by ONNX Runtime: a folder with `file` and maybe config.json; or one file.

    Channels stand where the model's input has 1 or 3 of them. An image is brought to `size` (its side, or height and width; by
    default what the input says), bilinear, or to `resize` and cut to the middle `size`; then it goes in as
    (value * `scale` - `mean`) / `std`, value from 0 to 255, in the order `channels`, in which `mean` and `std` are given too.
    `classes` names the outputs in order; without it config.json does (`id2label`).
    """

    kind = "onnx"

    class Settings(OnnxFile.Settings):
        size: pydantic.PositiveInt | tuple[pydantic.PositiveInt, pydantic.PositiveInt] | None = None
        resize: pydantic.PositiveInt | tuple[pydantic.PositiveInt, pydantic.PositiveInt] | None = None
        mean: Triple = 0.0
        std: Triple = 1.0
        scale: pydantic.PositiveFloat = 1 / 255
        channels: Literal["rgb", "bgr"] = "rgb"

    def score(self, images: list[bytes]) -> Scores:
        values = self.values(images)
        place = pathlib.Path(self.place)
        config = (place if place.is_dir() else place.parent) / "config.json"
        return Scores(self._named(values.shape[1], config), encoder.activated(values, self.settings.activation))

    def values(self, images: list[bytes], output: str | None = None) -> np.ndarray:
        """(n, k) float32: what the model gives in the output of this name, or in the one called logits, or in the first."""
        there = [o.name for o in self._session.get_outputs()]
        if output is not None and output not in there:
            raise JobError(f"{self.who}: expected an output out of {', '.join(there)}; got {output!r}")
        asked, wanted, rows = self._input(), output or self._output(), list[np.ndarray]()
        for start in range(0, len(images), asked.batch):
            chunk = images[start : start + asked.batch]
            fed = self._fed(chunk, asked, start)
            if missing := (asked.batch - len(chunk) if self._fixed() else 0):
                fed = np.concatenate([fed, np.repeat(fed[-1:], missing, 0)])
            (found,) = self._session.run([wanted], {asked.name: fed})
            rows.append(found.reshape(len(fed), -1)[: len(chunk)].astype(np.float32))
        return np.concatenate(rows)

    def _fixed(self) -> bool:
        """Whether the model takes one size of batch alone."""
        return isinstance(self._session.get_inputs()[0].shape[0], int)

    def _input(self) -> Input:
        s, inputs = self.settings, self._session.get_inputs()
        shape, kind = list(inputs[0].shape), inputs[0].type
        there = [axis for axis in (1, 3) if len(shape) == 4 and shape[axis] in (1, 3)]
        if len(inputs) != 1 or len(there) != 1 or kind not in TYPES:
            found = "; ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise JobError(
                f"{self.who}: expected one input of images, (n, c, h, w) or (n, h, w, c) with 1 or 3 channels, as "
                f"{', '.join(TYPES)}; the model has {found}"
            )
        first = there == [1]
        sides = shape[2:] if first else shape[1:3]
        given = (s.size, s.size) if isinstance(s.size, int) else s.size
        if given is None and not all(isinstance(side, int) for side in sides):
            raise JobError(f"{self.who}: the model takes images of any size. Fix: `size`, in pixels")
        height, width = given or sides
        if any(isinstance(side, int) and side != own for side, own in zip(sides, (height, width), strict=True)):
            raise JobError(f"{self.who}: `size` is {height} x {width}; the model takes {sides[0]} x {sides[1]}. Fix: `resize`")
        channels, batch = shape[there[0]], shape[0] if self._fixed() else s.batch_size
        for name, values in (("mean", s.mean), ("std", s.std)):
            if isinstance(values, list) and len(values) != channels:
                raise JobError(f"{self.who}: expected {channels} values in `{name}` or one, got {len(values)}")
        return Input(inputs[0].name, first, channels, height, width, batch, TYPES[kind])

    def _fed(self, images: list[bytes], asked: Input, row: int) -> np.ndarray:
        s, size = self.settings, (asked.height, asked.width)
        before = (s.resize, s.resize) if isinstance(s.resize, int) else s.resize or size
        if before[0] < size[0] or before[1] < size[1]:
            raise JobError(f"{self.who}: expected `resize` of at least {size[0]} x {size[1]}, got {before[0]} x {before[1]}")
        pixels = vision.pixels(images, size=before, channels=asked.channels, first=row)
        top, left = (before[0] - size[0]) // 2, (before[1] - size[1]) // 2
        pixels = pixels[:, top : top + size[0], left : left + size[1]]
        pixels = pixels[..., ::-1] if s.channels == "bgr" else pixels
        if asked.type is not np.uint8:
            pixels = ((pixels * np.float32(s.scale) - np.float32(s.mean)) / np.float32(s.std)).astype(asked.type)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) if asked.first else pixels)
