from __future__ import annotations

from typing import Any, Literal

from ..jobs import Count
from ..quiet import quiet
from . import encoder
from .fixed import FileTarget
from .scores import Scores

LONGEST = 512  # tokens, where `max_length` does not say


class PretrainedTarget(FileTarget):
    """A text classifier that transformers saved, as it is: a folder or hf://ORG/NAME, weights in safetensors.

    Its classes are those of its config (`id2label`). `activation` "auto" takes a sigmoid for a multi-label model
    (`problem_type`) and for one of a single output, softmax for the others. A text longer than `max_length` tokens (at most
    512 unless set) is cut there. `dtype` is what the weights are held in: in float32 a row does not depend on the rows
    beside it (to 1e-5), in the others it does a little.
    """

    kind = "pretrained"

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
        s, config = self.settings, self._model.config
        ids = encoder.token_ids(self._tokenizer, texts, self._max_length)
        values = encoder.logits(self._forward, self._tokenizer, ids, size=s.batch_size)
        multi_label = config.problem_type == "multi_label_classification" or config.num_labels == 1
        activation = s.activation if s.activation != "auto" else "sigmoid" if multi_label else "softmax"
        classes = tuple(str(config.id2label[i]) for i in range(config.num_labels))
        return Scores(classes, encoder.activated(values, activation))

    def _open(self) -> None:
        import torch

        s = self.settings
        with quiet():
            self._tokenizer, model = encoder.load(self.place, dtype=getattr(torch, s.dtype), revision=s.revision)
        self._model = model.to(encoder.device(s.device, self.who)).eval()
        self._forward = torch.compile(self._model, dynamic=True) if s.compile else self._model

    @property
    def _max_length(self) -> int:
        return self.settings.max_length or min(LONGEST, encoder.longest(self._tokenizer, self._model, LONGEST))
