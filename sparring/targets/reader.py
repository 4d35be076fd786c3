from __future__ import annotations

import functools
import importlib.util
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pydantic

from .. import ocr, refs, registry
from ..captions import Captioner
from ..errors import JobError, MissingExtra
from ..jobs import Count
from ..text import canonical
from .base import BaseTarget, TrainableTarget


class Reader(TrainableTarget):
    """Reads what stands in an image by OCR, brings it to canonical form and asks a classifier of texts: how image spam is
    commonly caught.

    `target` is the classifier of texts by its kind and settings, one that the job can train. `side` is the pixels of the longer
    side in which text is looked for: fewer read faster and miss more. With `caption`, a BLIP model, what it says of the image
    stands in a line behind what was read. What was read of an image is remembered.
    """

    kind = "reader"

    class Settings(BaseTarget.Settings):
        target: dict[str, Any] = pydantic.Field({"kind": "sklearn"})
        side: Count = ocr.SIDE
        caption: str | None = None  # folder or hf://ORG/NAME of a BLIP captioner
        level: Literal["none", "unicode", "deobfuscate"] = "deobfuscate"  # of canonical form, before the text is classified
        remember: pydantic.PositiveInt = 20_000  # images

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        asked: Mapping[str, Any] = registry.settings("target", self.settings.target)
        self._inner: Any = registry.make("target", asked["kind"], **{k: v for k, v in asked.items() if k != "kind"})
        if not self._inner.trainable:
            raise JobError(f"{self.who}: expected a `target` that the job can train, such as sklearn; got {asked['kind']!r}")
        self._base = refs.base()
        self._read = functools.lru_cache(self.settings.remember)(self._text)

    def check(self, names: tuple[str, ...]) -> None:
        for package in ("rapidocr", "onnxruntime"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtra("the target 'reader'", package, "images")
        if self.settings.caption:
            refs.resolve(self.settings.caption, base=self._base)
        self._inner.check(names)

    def _text(self, image: bytes) -> str:
        found = ocr.read(image, side=self.settings.side)
        if self.settings.caption:
            said = _captioner(self.settings.caption, self._base).captions([image])[0]
            found = f"{found}\n{said}".strip()
        return found if self.settings.level == "none" else canonical(found, self.settings.level)

    def fit(self, texts: Sequence[Any], labels: Sequence[str], *, names: tuple[str, ...], seed: int) -> Self:
        new = self.with_labels(names)
        new._read = self._read  # what was read once is not read again
        new._inner = self._inner.fit([self._read(image) for image in texts], labels, names=names, seed=seed)
        return new

    def predict_proba(self, samples: Sequence[Any]) -> np.ndarray:
        self.check_fitted()
        return np.asarray(self._inner.predict_proba([self._read(image) for image in samples]))

    def write(self, folder: pathlib.Path) -> None:
        self._inner.save(folder / "texts")

    def read(self, folder: pathlib.Path) -> None:
        self._inner = type(self._inner).load(folder / "texts")


@functools.lru_cache(1)
def _captioner(model: str, base: pathlib.Path) -> Captioner:
    """Loaded once, however often a target is fitted anew."""
    with refs.relative_to(base):
        return Captioner(model=model)
