"""What targets out of an ONNX file share, whatever they classify: the file, the session, the classes."""

from __future__ import annotations

import importlib.util
import json
import pathlib
from typing import Any, Literal

import pydantic

from ..errors import JobError, MissingExtra, ReferenceNotFound
from ..jobs import Count
from .fixed import FileTarget


class OnnxFile(FileTarget):
    """Authors write `score`."""

    class Settings(FileTarget.Settings):
        file: str = "model.onnx"
        classes: list[str] | None = None
        activation: Literal["softmax", "sigmoid", "none"] = "softmax"
        batch_size: Count = 32
        providers: list[str] = pydantic.Field(["CPUExecutionProvider"])

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._opened: Any = None

    def check(self, names: tuple[str, ...]) -> None:
        super().check(names)
        if importlib.util.find_spec("onnxruntime") is None:
            raise self._missing()
        self._file()

    @property
    def _session(self) -> Any:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> Any:
        try:
            import onnxruntime
        except ImportError:
            raise self._missing() from None
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

    def _missing(self) -> MissingExtra:
        return MissingExtra("the target 'onnx'", "onnxruntime", "onnx")

    def _file(self) -> pathlib.Path:
        place = pathlib.Path(self.place)
        path = place / self.settings.file if place.is_dir() else place
        if not path.is_file():
            raise ReferenceNotFound(f"{self.settings.model}: expected an ONNX file, found no {path.name} there. Fix: `file`")
        return path

    def _output(self) -> str:
        """The output called logits, or the first."""
        outputs = [o.name for o in self._session.get_outputs()]
        return "logits" if "logits" in outputs else outputs[0]

    def _named(self, n: int, config: pathlib.Path) -> tuple[str, ...]:
        """The classes of `n` outputs: as set, else by the `config.json` there, else numbers."""
        s = self.settings
        if s.classes is None and config.is_file():
            named = json.loads(config.read_text(encoding="utf-8")).get("id2label") or {}
            return tuple(str(named.get(str(i), i)) for i in range(n))
        if s.classes is not None and len(s.classes) != n:
            raise JobError(f"{self.who}: `classes` names {len(s.classes)}, the model gives {n}")
        return tuple(s.classes or map(str, range(n)))


def _errors(onnxruntime: Any) -> tuple[type[Exception], ...]:
    """ONNX Runtime's own, which have no base of theirs."""
    known = vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
    return tuple(c for c in known if isinstance(c, type) and issubclass(c, Exception))
