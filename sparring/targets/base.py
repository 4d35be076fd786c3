"""What the job does with a classifier of its own: fit, threshold, save, load."""

from __future__ import annotations

import pathlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from ..errors import TargetFailed


class TrainableTarget(ABC):
    """A classifier that the job trains itself. Settings go to the constructor; `fit` returns a new, fitted target."""

    gradients: ClassVar[bool] = False  # capability: white-box attacks need them
    labels: tuple[str, ...] = ()
    threshold: float = 0.5

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in sorted(self.settings().items()))
        return f"{type(self).__name__}({settings})"

    def check_fitted(self) -> None:
        if not self.labels:
            raise TargetFailed("expected a fitted target; call fit or load first")

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The constructor's keyword arguments."""

    @abstractmethod
    def fit(self, texts: Sequence[str], labels: Sequence[str], *, names: tuple[str, ...], seed: int) -> Self:
        """A new target trained on (text, label) rows; `names` lists every label, benign first."""

    @abstractmethod
    def predict_proba(self, samples: Sequence[str]) -> np.ndarray:
        """(n, k) float32. Raises `TargetFailed` before a fit."""

    @abstractmethod
    def save(self, folder: pathlib.Path) -> None:
        """Everything that `load` needs, without pickle."""

    @classmethod
    @abstractmethod
    def load(cls, folder: pathlib.Path) -> Self:
        """The target that `save` wrote."""
