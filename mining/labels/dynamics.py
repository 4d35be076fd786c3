"""Training dynamics: what the logits of the training rows did from epoch to epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sparring.errors import DataError, MissingExtra

from .views import checked_labels


class Recorder:
    """Keeps what the measures need of each epoch's (n, k) logits; rows in the order of `labels` (n,)."""

    def __init__(self, labels: Sequence[int] | np.ndarray):
        self.labels = checked_labels(labels, len(labels))
        self.epochs = 0
        n = len(self.labels)
        self._margin, self._learned, self._forgotten = np.zeros(n), np.full(n, -1), np.zeros(n, np.int64)
        self._right = np.zeros(n, bool)
        self._probabilities: np.ndarray | None = None

    def record(self, logits: np.ndarray) -> None:
        """One epoch. Raises `DataError` on NaN, another shape than before, or a label without a column."""
        z = np.asarray(logits, np.float64)
        before = None if self._probabilities is None else self._probabilities.shape[1]
        if z.ndim != 2 or len(z) != len(self.labels) or z.shape[1] < 2 or before not in (None, z.shape[1]):
            raise DataError(f"expected logits of shape ({len(self.labels)}, {before or 'k >= 2'}); got {z.shape}")
        if not np.isfinite(z).all():
            raise DataError(f"expected finite logits; epoch {self.epochs} holds NaN or infinity. Fix: a lower learning rate")
        if len(z) and self.labels.max() >= z.shape[1]:
            raise DataError(f"expected labels below {z.shape[1]}, the number of logits; got {int(self.labels.max())}")
        p = np.exp(z - z.max(1, keepdims=True, initial=-np.inf))
        p /= p.sum(1, keepdims=True)
        self._probabilities = p if self._probabilities is None else self._probabilities + p
        row = np.arange(len(z))
        own = z[row, self.labels]
        rest = z.copy()
        rest[row, self.labels] = -np.inf
        margin = own - rest.max(1, initial=-np.inf)
        right = margin > 0
        self._margin += margin
        self._forgotten += self._right & ~right
        self._learned[(self._learned < 0) & right] = self.epochs
        self._right = right
        self.epochs += 1

    @property
    def aum(self) -> np.ndarray:
        """(n,) mean over epochs of the given label's logit less the largest other one; low is suspect, an unlabelled row NaN
        (area under the margin, Pleiss et al., https://arxiv.org/abs/2001.10528)."""
        self._some()
        return np.where(self.labels >= 0, self._margin / self.epochs, np.nan)

    @property
    def forgotten(self) -> np.ndarray:
        """(n,) int: how often a row that was right became wrong; -1 for one that was never right or has no label
        (Toneva et al., https://arxiv.org/abs/1812.05159)."""
        self._some()
        return np.where((self._learned >= 0) & (self.labels >= 0), self._forgotten, -1)

    @property
    def learned(self) -> np.ndarray:
        """(n,) int: the first epoch in which a row was right; -1 for never."""
        return np.where(self.labels >= 0, self._learned, -1)

    @property
    def view(self) -> np.ndarray:
        """(n, k) float32: mean probabilities over epochs, for `views.make(extra={"dynamics": ...})`. In sample: a model that
        has learned its errors by heart agrees with them, so that few epochs tell more than many."""
        self._some()
        assert self._probabilities is not None
        return (self._probabilities / self.epochs).astype(np.float32)

    def _some(self) -> None:
        if not self.epochs:
            raise DataError("expected at least one recorded epoch; got none. Fix: call record after each epoch")


def trainer_callback(recorder: Recorder, logits: Callable[[Any], np.ndarray]) -> Any:
    """A callback for the Hugging Face `Trainer` that records each epoch: `logits(model)` gives the (n, k) logits of the
    training rows, in the order of the recorder's labels. The model is in evaluation mode meanwhile, and without gradients."""
    try:
        import torch
        from transformers import TrainerCallback
    except ImportError as error:
        raise MissingExtra("recording training dynamics", "transformers", "dev") from error

    class Dynamics(TrainerCallback):
        def on_epoch_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            training = model.training
            model.eval()
            with torch.inference_mode():
                recorder.record(logits(model))
            model.train(training)

    return Dynamics()
