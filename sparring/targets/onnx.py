from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from ..causal import by_length
from ..errors import JobError, ReferenceNotFound
from ..jobs import Count
from ..quiet import quiet
from . import encoder
from .onnx_file import OnnxFile
from .scores import Scores

PIECES = ("input_ids", "attention_mask", "token_type_ids")


class OnnxTarget(OnnxFile):
    """A text classifier in ONNX, run by ONNX Runtime: a folder with `file`, a tokenizer and maybe config.json; or one file.

    A model of token numbers gives logits (its output of that name, or its first) and gets a tokenizer from its own folder,
    or from the reference `tokenizer`: what transformers saves, or a lone tokenizer.json. A model of strings (skl2onnx) gives
    probabilities. `classes` names the outputs in order; without it config.json does (`id2label`), or the model itself.
    """

    kind = "onnx"
    references = ("model", "tokenizer")

    class Settings(OnnxFile.Settings):
        tokenizer: str | None = None
        max_length: Count = 512

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._tokenizer: Any = None

    def score(self, texts: list[str]) -> Scores:
        if self._session.get_inputs()[0].type == "tensor(string)":
            return self._of_strings(texts)
        if self._tokenizer is None:
            self._tokenizer = _tokenizer(self._tokenizer_place(), self.who)
        logits = self._logits(encoder.token_ids(self._tokenizer, texts, self.settings.max_length))
        return Scores(self._classes(logits.shape[1]), encoder.activated(logits, self.settings.activation))

    def _tokenizer_place(self) -> pathlib.Path:
        if self.settings.tokenizer:
            return pathlib.Path(self.resolve(self.settings.tokenizer))
        return pathlib.Path(self.place) if pathlib.Path(self.place).is_dir() else self._file().parent

    def _logits(self, ids: list[list[int]]) -> np.ndarray:
        inputs = {i.name: i for i in self._session.get_inputs()}
        if strange := set(inputs) - set(PIECES):
            raise JobError(f"{self.who}: expected inputs out of {', '.join(PIECES)}; the model wants {', '.join(strange)} too")
        wanted, out = self._output(), None
        for chunk in by_length(ids, self.settings.batch_size):
            width = max(1, max(len(ids[i]) for i in chunk))
            pieces = {name: np.zeros((len(chunk), width), np.int64) for name in PIECES}
            pieces["input_ids"] += self._tokenizer.pad_token_id or 0
            for row, i in enumerate(chunk):
                pieces["input_ids"][row, : len(ids[i])] = ids[i]
                pieces["attention_mask"][row, : len(ids[i])] = 1
            fed = {n: pieces[n].astype(np.int32 if i.type == "tensor(int32)" else np.int64) for n, i in inputs.items()}
            (found,) = self._session.run([wanted], fed)
            if out is None:
                out = np.zeros((len(ids), found.reshape(len(chunk), -1).shape[1]), np.float32)
            out[chunk] = found.reshape(len(chunk), -1)
        assert out is not None, "asked with at least one text"
        return out

    def _classes(self, n: int) -> tuple[str, ...]:
        return self._named(n, self._tokenizer_place() / "config.json")

    def _of_strings(self, texts: list[str]) -> Scores:
        """What skl2onnx makes of a pipeline: strings in, probabilities out, as a tensor or as a dict a text."""
        first, outputs = self._session.get_inputs()[0], self._session.get_outputs()
        wanted = next((o.name for o in outputs if "prob" in o.name.lower()), outputs[-1].name)
        shape = (-1, 1) if len(first.shape) == 2 else (-1,)
        (found,) = self._session.run([wanted], {first.name: np.array(texts, object).reshape(shape)})
        if isinstance(found, list):
            return Scores(tuple(map(str, found[0])), np.array([list(row.values()) for row in found]))
        return Scores(self._classes(found.shape[1]), found)


def _tokenizer(folder: pathlib.Path, who: str) -> Any:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    with quiet():
        if (folder / "tokenizer_config.json").is_file():
            return AutoTokenizer.from_pretrained(folder)
        if (folder / "tokenizer.json").is_file():
            return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    raise ReferenceNotFound(
        f"{who}: expected a tokenizer beside the model, found neither tokenizer_config.json nor tokenizer.json. "
        "Fix: `tokenizer: FOLDER`"
    )
