"""What runs in the processes of a Ray cluster: a worker, and the gate that it asks before each piece."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import pickle
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .. import __version__, refs
from ..errors import SparringError, UserError
from ..record import digest


class Gate:
    """Beside the driver: says whether a piece may be begun, and knows which were begun more than once."""

    def __init__(self, tries: int) -> None:
        self._tries = tries
        self._begun: Counter[int] = Counter()
        self._shut = False

    def begin(self, number: int) -> str:
        """ "begin", "stop", or "deadly" for a piece whose workers died each time."""
        if self._shut:
            return "stop"
        self._begun[number] += 1
        return "begin" if self._begun[number] <= self._tries else "deadly"

    def shut(self) -> None:
        self._shut = True

    def again(self) -> int:
        """Pieces done again because a worker or a node was lost."""
        return sum(n > 1 for n in self._begun.values())


class Raised:
    """An error of ours on its way to the driver. Its class may take other arguments than a message."""

    def __init__(self, error: SparringError):
        self.kind, self.message = type(error), str(error)

    @property
    def error(self) -> SparringError:
        error = self.kind.__new__(self.kind, self.message)
        error.args = (self.message,)
        return error


class Worker:
    """In a process of the cluster: the work, unpacked once, done on one piece after the other."""

    def __init__(self, given: Sequence[Any]):
        import ray

        shared, self.gate = given
        self.work, theirs, place, base = pickle.loads(ray.get(shared))
        self.base = pathlib.Path(base)
        self.fault = None if theirs == fingerprint() else _other_code()
        if os.path.isdir(place):
            os.chdir(place)  # so that a relative path means what it means to the driver

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        pieces = zip(batch["number"].tolist(), batch["item"], strict=True)
        return {"number": batch["number"], "result": [pickle.dumps(self._one(number, item)) for number, item in pieces]}

    def _one(self, number: int, item: bytes) -> tuple[str, Any]:
        import ray

        if self.fault:
            return "raised", Raised(self.fault)
        if (may := ray.get(self.gate.begin.remote(number))) != "begin":
            return ("raised", Raised(_deadly())) if may == "deadly" else ("stopped", None)
        try:
            with refs.relative_to(self.base):
                return "done", self.work(pickle.loads(item))
        except SparringError as error:
            return "raised", Raised(error)


def fingerprint() -> str:
    """Stands for the code of this installation: a worker with another would make rows under keys that say something else."""
    found = []
    for name in ("sparring", "synth", "redteam", "mining"):
        spec = importlib.util.find_spec(name)
        for folder in map(pathlib.Path, (spec.submodule_search_locations or ()) if spec else ()):
            found += [(str(path.relative_to(folder)), path.read_bytes()) for path in sorted(folder.rglob("*.py"))]
    return digest(__version__, found)


def _deadly() -> SparringError:
    return SparringError(
        "engine ray: expected a piece of work to end; each time its worker died, for memory or with its node, too often. What "
        "was finished is kept. Fix: more memory a worker (a higher `cpus` has fewer of them on a node), smaller batches"
    )


def _other_code() -> UserError:
    return UserError(
        f"engine ray: expected the driver's code on every node; {os.uname().nodename} has another Sparring {__version__}. "
        "Fix: install the same version there"
    )
