"""Classifiers that are used as they are: nobody trains them here, a job only sets their threshold."""

from __future__ import annotations

import pathlib
import shutil
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import pydantic

from ..jobs import Rate
from .base import BaseTarget, clean
from .scores import Scores, check_labels, to_policy


def _words(found: Any) -> Any:
    """YAML reads a class called 0 as a number."""
    return {str(key): value for key, value in found.items()} if isinstance(found, dict) else found


Labels = Annotated[dict[str, str], pydantic.BeforeValidator(_words), pydantic.Field(min_length=1)]
Thresholds = Annotated[dict[str, Rate], pydantic.BeforeValidator(_words)]


class FixedTarget(BaseTarget):
    """Authors write `Settings` and one hook, `score`: the classifier's own classes and their scores."""

    class Settings(BaseTarget.Settings):
        labels: Labels | None = None  # the classifier's classes -> the policy's labels
        thresholds: Thresholds = pydantic.Field({})  # by class; then `threshold` is for the classes that it does not name

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        if self.settings.thresholds:
            self.threshold = 0.5  # where `to_policy` brings each class's own

    def check(self, names: tuple[str, ...]) -> None:
        super().check(names)
        if self.settings.labels is not None:
            check_labels(self.settings.labels, names, self.who)

    def predict_proba(self, samples: Sequence[Any]) -> np.ndarray:
        self.check_fitted()
        if not len(samples):
            return np.zeros((0, len(self.labels)), np.float32)
        s = self.settings
        return to_policy(
            self.score(self.taken(samples)), self.labels,
            labels=s.labels, thresholds=s.thresholds, default=s.threshold, who=self.who,
        )  # fmt: skip

    def taken(self, samples: Sequence[Any]) -> list[Any]:
        """The samples as `score` gets them."""
        return clean(samples)

    @abstractmethod
    def score(self, samples: list[Any]) -> Scores:
        """Scores of at least one sample, in order; no text holds a lone surrogate."""


class FileTarget(FixedTarget):
    """A fixed classifier out of `model`, a reference. A saved target holds the reference alone, or the files that a job's
    `retrain` command left; authors read them at `place`."""

    references: ClassVar[tuple[str, ...]] = ("model",)

    class Settings(FixedTarget.Settings):
        model: str

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._own: pathlib.Path | None = None

    @property
    def place(self) -> str:
        """Where the model lies: a path, or an id on the hub."""
        return str(self._own) if self._own else self.resolve(self.settings.model)

    def write(self, folder: pathlib.Path) -> None:
        if self._own:
            (shutil.copytree if self._own.is_dir() else shutil.copyfile)(self._own, folder / "model")

    def read(self, folder: pathlib.Path) -> None:
        if (folder / "model").exists():
            self._own = folder / "model"

    def left_at(self, out: pathlib.Path, names: tuple[str, ...]) -> Self:
        new = self.with_labels(names)
        new._own = out
        return new


class OfImages(FixedTarget):
    """A fixed classifier of encoded files. A file that cannot be read is a `DataError` that says which."""

    def taken(self, samples: Sequence[Any]) -> list[Any]:
        return list(samples)
