from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..jobs import Count
from ..quiet import quiet
from . import encoder
from .base import clean
from .saved import SavedTarget
from .scores import Scores

LONGEST = 512  # tokens, where `max_length` does not say


class PretrainedTarget(SavedTarget):
    """A text classifier that transformers saved, as it is: a folder or hf://ORG/NAME, weights in safetensors.

    Its classes are those of its config (`id2label`). `activation` "auto" takes a sigmoid for a multi-label model
    (`problem_type`) and for one of a single output, softmax for the others. A text longer than `max_length` tokens (at most
    512 unless set) is cut there. `dtype` is what the weights are held in: in float32 a row does not depend on the rows
    beside it (to 1e-5), in the others it does a little.
    """

    kind = "pretrained"

    class Settings(SavedTarget.Settings):
        max_length: Count | None = None

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._tokenizer: Any = None

    def load_model(self, dtype: Any) -> Any:
        with quiet():
            self._tokenizer, model = encoder.load(self.place, dtype=dtype, revision=self.settings.revision)
        return model

    def score(self, texts: list[str]) -> Scores:
        classes, activation = self._classes, self._activation
        ids = encoder.token_ids(self._tokenizer, texts, self._max_length)
        values = encoder.logits(self._forward, self._tokenizer, ids, size=self.settings.batch_size)
        return Scores(classes, encoder.activated(values, activation))

    def swap_gains(
        self, samples: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]], words: Sequence[str]
    ) -> list[np.ndarray]:
        self.check_fitted()
        model, longest = self._model, self._max_length
        return encoder.swap_gains(
            model, self._tokenizer, clean(samples), spans, words, odds=self._violating, max_length=longest
        )

    def _violating(self, logits: Any) -> Any:
        """Log-odds of violating of one text's (c,) logits."""
        found = self.of_labels(logits[None])[0]
        return found[1:].logsumexp(0) - found[0]

    @property
    def _max_length(self) -> int:
        return self.settings.max_length or min(LONGEST, encoder.longest(self._tokenizer, self._model, LONGEST))
