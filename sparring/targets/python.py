from __future__ import annotations

import functools
import importlib
import importlib.util
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import pydantic

from .. import refs
from ..errors import JobError, RowsFailed, SparringError, TargetFailed
from ..jobs import Positive
from .fixed import FixedTarget
from .scores import Scores


class PythonTarget(FixedTarget):
    """Any Python function from texts to scores: `call: package.module:function`, or `:Class.method` of an object that is
    made once with `arguments`. It runs another package's code, which needs `trust: true`.

    The function is given a list of texts (with `one_by_one`, a text) and answers with scores (n,), with scores (n, c), with
    a dict {class: score} a text, or with one dict {class: scores}. `classes` names the columns of an array; a lone score is
    called "score". Scores are divided by `maximum`: 100 for percentages. A text for which it raises is a row of NaN; nothing
    ends a call that hangs.
    """

    kind = "python"

    class Settings(FixedTarget.Settings):
        call: Annotated[str, pydantic.StringConstraints(pattern=r"^[\w.]+:[\w.]+$")]
        arguments: dict[str, Any] = pydantic.Field({})
        one_by_one: bool = False
        classes: list[str] | None = None
        maximum: Positive = 1.0
        trust: bool = False  # may this code run

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        if not self.settings.trust:
            raise JobError(
                f"{self.who}: {self.settings.call} is code that runs with your rights. Fix: if you know what it does, "
                "write `trust: true` beside it in the job"
            )
        self._call: Callable[[Any], Any] | None = None

    def check(self, names: tuple[str, ...]) -> None:
        super().check(names)
        self._spec()

    def content(self) -> dict[str, str | None]:
        """The hash of the file with the function."""
        origin = self._spec().origin
        file = pathlib.Path(origin) if origin else None
        return {"call": refs.content_hash(file) if file and file.exists() else None}

    def score(self, texts: list[str]) -> Scores:
        if self._call is None:
            self._call = self._found()
        s, call = self.settings, self._call
        try:
            answer = [call(text) for text in texts] if s.one_by_one else call(texts)
        except SparringError:
            raise
        except Exception as error:  # a foreign function may raise anything; what it says may hold a text
            raise RowsFailed(f"{self.who}: {s.call} raised {type(error).__name__}") from error
        classes, values = _columns(answer, s.classes, self.who)
        if len(values) != len(texts):
            raise TargetFailed(f"{self.who}: expected {len(texts)} answers of {s.call}, got {len(values)}")
        return Scores(classes, values / s.maximum)

    def _spec(self) -> Any:
        module = self.settings.call.partition(":")[0]
        try:
            spec = importlib.util.find_spec(module)
        except ModuleNotFoundError:  # of the package around it
            spec = None
        if spec is None:
            raise JobError(
                f"{self.who}: the Python module {module} is not installed. Fix: install it beside sparring, or correct `call`"
            )
        return spec

    def _found(self) -> Callable[[Any], Any]:
        s = self.settings
        module, _, path = s.call.partition(":")
        place: Any = importlib.import_module(module)
        made = False
        for part in path.split("."):
            if not hasattr(place, part):
                raise JobError(f"{self.who}: {module} has no {path}. Fix: correct `call`")
            place = getattr(place, part)
            if isinstance(place, type):
                place, made = place(**s.arguments), True
        return functools.partial(place, **s.arguments) if s.arguments and not made else place


def _columns(answer: Any, classes: Sequence[str] | None, who: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Classes and (n, c) scores out of whatever shape a function answers in."""
    try:
        if isinstance(answer, Mapping):
            columns = {str(name): np.asarray(values, np.float64).reshape(-1) for name, values in answer.items()}
            return tuple(columns), np.stack(list(columns.values()), 1)
        rows = list(answer)
        if isinstance(rows[0], Mapping):
            names = dict.fromkeys(name for row in rows for name in row)
            # A class that an answer leaves out is one that it did not find.
            return tuple(map(str, names)), np.array([[row.get(name, 0.0) for name in names] for row in rows], np.float64)
        values = np.asarray(rows, np.float64).reshape(len(rows), -1)
    except (TypeError, ValueError, IndexError) as error:  # what it says may hold a text
        raise TargetFailed(
            f"{who}: expected scores (n,), scores (n, c) or dicts of class and score; got {type(answer).__name__} with "
            f"something else ({type(error).__name__})"
        ) from error
    if classes is None and values.shape[1] != 1:
        raise JobError(f"{who}: the function answers with {values.shape[1]} columns. Fix: name them in `classes`")
    return tuple(classes or ("score",)), values
