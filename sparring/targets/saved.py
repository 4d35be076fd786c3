"""What targets out of a classifier that transformers saved share, whatever it classifies: settings, classes, and logits of the
policy's labels for gradients."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any, Literal

from ..jobs import Count
from ..record import BENIGN
from . import encoder
from .fixed import FileTarget
from .scores import check_classes, guessed


class SavedTarget(FileTarget):
    """Authors write `score` and `load_model`."""

    gradients = True

    class Settings(FileTarget.Settings):
        revision: str | None = None  # of a model on the hub
        activation: Literal["auto", "softmax", "sigmoid"] = "auto"
        batch_size: Count = 32
        device: Literal["auto", "cpu", "cuda"] = "auto"
        dtype: Literal["float32", "bfloat16", "float16"] = "float32"
        compile: bool = False  # by torch.compile: minutes at first, faster then

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._opened: Any = None
        self._forward: Any = None

    @abstractmethod
    def load_model(self, dtype: Any) -> Any:
        """The classifier in this torch dtype; what reads its input may be kept on the way."""

    @property
    def _model(self) -> Any:
        if self._opened is None:
            import torch

            s = self.settings
            model = self.load_model(getattr(torch, s.dtype)).to(encoder.device(s.device, self.who)).eval()
            self._forward = encoder.compiled(model, self.who) if s.compile else model
            self._opened = model
        return self._opened

    @property
    def _classes(self) -> tuple[str, ...]:
        config = self._model.config
        return tuple(str(config.id2label[i]) for i in range(config.num_labels))

    @property
    def _activation(self) -> str:
        config = self._model.config
        multi_label = config.problem_type == "multi_label_classification" or config.num_labels == 1
        return self.settings.activation if self.settings.activation != "auto" else "sigmoid" if multi_label else "softmax"

    def of_labels(self, logits: Any) -> Any:
        """(n, k) logits of the target's labels from (n, c) of the classifier's classes, differentiable.

        Softmax of them gives back the log-odds of violating: shares of one whole are added up; of scores that stand for
        themselves the highest counts, beyond its own threshold.
        """
        import torch

        s, classes = self.settings, self._classes
        label = dict(s.labels) if s.labels is not None else guessed(classes, self.labels, self.who)
        check_classes(label, s.thresholds, classes, self.who)
        columns = [[i for i, c in enumerate(classes) if label.get(c) == name] for name in self.labels]
        none = torch.full_like(logits[:, 0], -torch.inf)
        if BENIGN in label.values() and not s.thresholds:
            shares = logits.log_softmax(1) if self._activation == "softmax" else torch.nn.functional.logsigmoid(logits)
            benign, *violating = [shares[:, mine].logsumexp(1) if mine else none for mine in columns]
            if self._activation == "softmax":
                return torch.stack([benign, *violating], 1)
            rest = torch.stack(violating, 1)
            odds = torch.log(-torch.expm1(benign.clamp(max=-1e-6))) - benign
        else:
            own = [self._odds(logits, i) for i in range(len(classes))]
            each = torch.stack([torch.stack([own[i] for i in mine], 1).amax(1) if mine else none for mine in columns[1:]], 1)
            rest, odds = torch.nn.functional.logsigmoid(each), each.amax(1)
        return torch.cat([(rest.logsumexp(1) - odds)[:, None], rest], 1)

    def _odds(self, logits: Any, i: int) -> Any:
        """(n,) log-odds of class i over all others, above 0 beyond its threshold."""
        s, others = self.settings, [j for j in range(logits.shape[1]) if j != i]
        own = logits[:, i]
        if self._activation == "softmax" and others:
            own = own - logits[:, others].logsumexp(1)
        if not s.thresholds:
            return own
        t = min(max(s.thresholds.get(self._classes[i], s.threshold), 1e-6), 1 - 1e-6)
        return own - math.log(t / (1 - t))
