from __future__ import annotations

import importlib.util
import json
import pathlib
from typing import Any, Literal

import numpy as np
import pydantic

from ..causal import by_length
from ..errors import JobError, MissingExtra, ReferenceNotFound
from ..jobs import Count
from ..quiet import quiet
from . import encoder
from .fixed import FileTarget
from .scores import Scores

PIECES = ("input_ids", "attention_mask", "token_type_ids")


class OnnxTarget(FileTarget):
    """A text classifier in ONNX, run by ONNX Runtime: a folder with `file`, a tokenizer and maybe config.json; or one file.

    A model of token numbers gives logits (its output of that name, or its first) and gets a tokenizer from its own folder,
    or from the reference `tokenizer`: what transformers saves, or a lone tokenizer.json. A model of strings (skl2onnx) gives
    probabilities. `classes` names the outputs in order; without it config.json does (`id2label`), or the model itself.
    """

    kind = "onnx"
    references = ("model", "tokenizer")

    class Settings(FileTarget.Settings):
        file: str = "model.onnx"
        tokenizer: str | None = None
        classes: list[str] | None = None
        activation: Literal["softmax", "sigmoid", "none"] = "softmax"
        max_length: Count = 512
        batch_size: Count = 32
        providers: list[str] = pydantic.Field(["CPUExecutionProvider"])

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._session: Any = None
        self._tokenizer: Any = None

    def check(self, names: tuple[str, ...]) -> None:
        super().check(names)
        if importlib.util.find_spec("onnxruntime") is None:
            raise MissingExtra("the target 'onnx'", "onnxruntime", "onnx")
        self._file()

    def score(self, texts: list[str]) -> Scores:
        if self._session is None:
            self._session = self._open()
        if self._session.get_inputs()[0].type == "tensor(string)":
            return self._of_strings(texts)
        if self._tokenizer is None:
            self._tokenizer = _tokenizer(self._tokenizer_place(), self.who)
        logits = self._logits(encoder.token_ids(self._tokenizer, texts, self.settings.max_length))
        return Scores(self._classes(logits.shape[1]), encoder.activated(logits, self.settings.activation))

    def _open(self) -> Any:
        try:
            import onnxruntime
        except ImportError:
            raise MissingExtra("the target 'onnx'", "onnxruntime", "onnx") from None
        import torch

        s, path = self.settings, self._file()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()  # the job's `threads`
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        there = onnxruntime.get_available_providers()
        if missing := [p for p in s.providers if p not in there]:
            raise JobError(f"{self.who}: this ONNX Runtime has no {missing[0]}; it has {', '.join(there)}. Fix: `providers`")
        try:
            return onnxruntime.InferenceSession(str(path), options, providers=s.providers)
        except _errors(onnxruntime) as error:
            said = " ".join(str(error).split())[:400]
            raise ReferenceNotFound(f"{s.model}: expected an ONNX model that runs here in {path.name}: {said}") from error

    def _file(self) -> pathlib.Path:
        place = pathlib.Path(self.place)
        path = place / self.settings.file if place.is_dir() else place
        if not path.is_file():
            raise ReferenceNotFound(f"{self.settings.model}: expected an ONNX file, found no {path.name} there. Fix: `file`")
        return path

    def _tokenizer_place(self) -> pathlib.Path:
        if self.settings.tokenizer:
            return pathlib.Path(self.resolve(self.settings.tokenizer))
        return pathlib.Path(self.place) if pathlib.Path(self.place).is_dir() else self._file().parent

    def _logits(self, ids: list[list[int]]) -> np.ndarray:
        inputs, outputs = ({i.name: i for i in side} for side in (self._session.get_inputs(), self._session.get_outputs()))
        if strange := set(inputs) - set(PIECES):
            raise JobError(f"{self.who}: expected inputs out of {', '.join(PIECES)}; the model wants {', '.join(strange)} too")
        wanted = "logits" if "logits" in outputs else next(iter(outputs))
        out: np.ndarray | None = None
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
        s, config = self.settings, self._tokenizer_place() / "config.json"
        if s.classes is None and config.is_file():
            named = json.loads(config.read_text(encoding="utf-8")).get("id2label") or {}
            return tuple(str(named.get(str(i), i)) for i in range(n))
        if s.classes is not None and len(s.classes) != n:
            raise JobError(f"{self.who}: `classes` names {len(s.classes)}, the model gives {n}")
        return tuple(s.classes or map(str, range(n)))

    def _of_strings(self, texts: list[str]) -> Scores:
        """What skl2onnx makes of a pipeline: strings in, probabilities out, as a tensor or as a dict a text."""
        first, outputs = self._session.get_inputs()[0], self._session.get_outputs()
        wanted = next((o.name for o in outputs if "prob" in o.name.lower()), outputs[-1].name)
        shape = (-1, 1) if len(first.shape) == 2 else (-1,)
        (found,) = self._session.run([wanted], {first.name: np.array(texts, object).reshape(shape)})
        if isinstance(found, list):
            return Scores(tuple(map(str, found[0])), np.array([list(row.values()) for row in found]))
        return Scores(self._classes(found.shape[1]), found)


def _errors(onnxruntime: Any) -> tuple[type[Exception], ...]:
    """ONNX Runtime's own, which have no base of theirs."""
    known = vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
    return tuple(c for c in known if isinstance(c, type) and issubclass(c, Exception))


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
