from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, ClassVar, TypeVar

import numpy as np

from .. import generation
from ..generation import Asked
from ..protocols import Embedder, TextModel

Item = TypeVar("Item")
Result = TypeVar("Result")
Told = Callable[[str, Mapping[str, Any]], None]


class Engine(ABC):
    """Authors write `each`. `spreads` says whether pieces are done beside one another, elsewhere."""

    spreads: ClassVar[bool] = False

    def open(self, told: Told) -> None:  # noqa: B027, most have nothing to do
        """`told` hears what happens to workers, as events of the run's log."""

    def close(self) -> None:  # noqa: B027
        """Gives back what it holds; the next `each` takes it anew."""

    @abstractmethod
    def each(
        self, work: Callable[[Item], Result], items: Iterable[Item], *, few: int = 1,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Result]]:  # fmt: skip
        """(number of the item, its result), each item once, in the order in which they come.

        `work` is sent to every worker once: what it holds must be picklable, and is read only. Up to `few` items are done in
        this process, since they are not worth the start of a worker. Nothing is begun after `stop`
        says so; what is under way is finished and told. A true attribute `gpu` of `work` says that it can use one.
        """

    def write(
        self, model: TextModel, asked: Iterator[Asked], came: generation.Told, held: Mapping[str, Any],
        seeds: Mapping[int, int], *, stop: Callable[[], bool],
    ) -> None:  # fmt: skip
        """Prompts into the model as it has room, answers out as they come; `held` goes to the model with each, `seeds` are
        those that the prompts' own were made of. `asked` ends by itself where `stop` says so, as far as it was not read."""
        generation.stream(model, asked, came, seeds, held)

    def encode(self, model: Embedder, items: Sequence[Any]) -> np.ndarray:
        """(n, d) float32 unit rows, in order."""
        return model.encode(items)


class Local(Engine):
    """In this process, one piece after the other."""

    def each(
        self, work: Callable[[Item], Result], items: Iterable[Item], *, few: int = 1,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Result]]:  # fmt: skip
        for number, item in enumerate(items):
            if stop():
                return
            yield number, work(item)


_current: ContextVar[Engine] = ContextVar("engine")
_LOCAL = Local()


def current() -> Engine:
    """The engine of the job that is being worked on; without one, this process."""
    return _current.get(_LOCAL)


def beside(target: Any) -> Engine:
    """The same for work that asks this classifier: where that allows so many requests a second in all, this process."""
    limited = getattr(getattr(target, "settings", None), "rate", None) is not None
    return _LOCAL if limited else current()


@contextlib.contextmanager
def using(engine: Engine, told: Told = lambda event, facts: None) -> Iterator[Engine]:
    """Within the block `current` gives this engine, which is closed at its end."""
    engine.open(told)
    token = _current.set(engine)
    try:
        yield engine
    finally:
        _current.reset(token)
        engine.close()


def in_order(results: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    """Results by their numbers from 0 on; those that come early wait."""
    waiting: dict[int, Result] = {}
    number = 0
    for i, result in results:
        waiting[i] = result
        while number in waiting:
            yield waiting.pop(number)
            number += 1
