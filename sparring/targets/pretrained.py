from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..jobs import Count
from ..quiet import quiet
from ..record import BENIGN
from . import encoder
from .base import clean
from .fixed import FileTarget
from .scores import Scores, guessed

LONGEST = 512  # tokens, where `max_length` does not say


class PretrainedTarget(FileTarget):
    """A text classifier that transformers saved, as it is: a folder or hf://ORG/NAME, weights in safetensors.

    Its classes are those of its config (`id2label`). `activation` "auto" takes a sigmoid for a multi-label model
    (`problem_type`) and for one of a single output, softmax for the others. A text longer than `max_length` tokens (at most
    512 unless set) is cut there. `dtype` is what the weights are held in: in float32 a row does not depend on the rows
    beside it (to 1e-5), in the others it does a little.
    """

    kind = "pretrained"
    gradients = True

    class Settings(FileTarget.Settings):
        revision: str | None = None  # of a model on the hub
        activation: Literal["auto", "softmax", "sigmoid"] = "auto"
        max_length: Count | None = None
        batch_size: Count = 32
        device: Literal["auto", "cpu", "cuda"] = "auto"
        dtype: Literal["float32", "bfloat16", "float16"] = "float32"
        compile: bool = False  # by torch.compile: minutes at first, faster then

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._tokenizer: Any = None
        self._model: Any = None
        self._forward: Any = None

    def score(self, texts: list[str]) -> Scores:
        if self._model is None:
            self._open()
        ids = encoder.token_ids(self._tokenizer, texts, self._max_length)
        values = encoder.logits(self._forward, self._tokenizer, ids, size=self.settings.batch_size)
        return Scores(self._classes, encoder.activated(values, self._activation))

    def swap_gains(
        self, samples: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]], words: Sequence[str]
    ) -> list[np.ndarray]:
        self.check_fitted()
        if self._model is None:
            self._open()
        return encoder.swap_gains(
            self._model, self._tokenizer, clean(samples), spans, words, odds=self._odds, max_length=self._max_length
        )

    def _odds(self, logits: Any) -> Any:
        """Log-odds of violating: shares of one whole are added up; of scores that stand for themselves the highest counts,
        beyond its own threshold."""
        s, classes = self.settings, self._classes
        label = dict(s.labels) if s.labels is not None else guessed(classes, self.labels, self.who)
        violating = [i for i, c in enumerate(classes) if label.get(c, BENIGN) != BENIGN]
        benign = [i for i, c in enumerate(classes) if label.get(c) == BENIGN]
        if benign and not s.thresholds:
            return logits[violating].logsumexp(0) - logits[benign].logsumexp(0)
        odds = []
        for i in violating:
            others = [j for j in range(len(classes)) if j != i]
            own = logits[i] - logits[others].logsumexp(0) if self._activation == "softmax" and others else logits[i]
            t = min(max(s.thresholds.get(classes[i], s.threshold), 1e-6), 1 - 1e-6) if s.thresholds else 0.5
            odds.append(own - float(np.log(t / (1 - t))))
        return max(odds)

    def _open(self) -> None:
        import torch

        s = self.settings
        with quiet():
            self._tokenizer, model = encoder.load(self.place, dtype=getattr(torch, s.dtype), revision=s.revision)
        self._model = model.to(encoder.device(s.device, self.who)).eval()
        self._forward = torch.compile(self._model, dynamic=True) if s.compile else self._model

    @property
    def _classes(self) -> tuple[str, ...]:
        config = self._model.config
        return tuple(str(config.id2label[i]) for i in range(config.num_labels))

    @property
    def _activation(self) -> str:
        config = self._model.config
        multi_label = config.problem_type == "multi_label_classification" or config.num_labels == 1
        return self.settings.activation if self.settings.activation != "auto" else "sigmoid" if multi_label else "softmax"

    @property
    def _max_length(self) -> int:
        return self.settings.max_length or min(LONGEST, encoder.longest(self._tokenizer, self._model, LONGEST))
