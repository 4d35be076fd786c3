from __future__ import annotations

import importlib.util
import logging
import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from .. import generation, refs
from ..errors import JobError, MissingExtra, SparringError, UserError
from ..generation import SLICE, Asked
from ..protocols import Embedder, TextModel
from . import ray_llm
from .base import Engine, Item, Result, Told
from .ray_worker import Gate, Worker, fingerprint
from .work import EMBEDDED, Writing, encoded

REACH = 1024  # pieces in one map: what is handed out stands in the object store
TRIES = 6  # of a piece; one that kills every worker would otherwise be tried for ever
LOOKED = 1.0  # seconds between two looks at the nodes


class Ray(Engine):
    """Ray Data maps with actor pools, on a cluster or, without an `address`, on this machine.

    `address` is that of a running cluster ("auto": the one that this machine belongs to); also RAY_ADDRESS. `workers` at most
    do a piece each, with `cpus` and, where the work can use one and the cluster has any, a GPU (`gpus` sets how much of one).
    Every node needs this version of Sparring, and the files that the job names at the same paths.
    """

    spreads: ClassVar[bool] = True

    def __init__(
        self, *, address: str | None = None, workers: int | None = None, cpus: float = 1.0, gpus: float | None = None,
        object_store_mb: int | None = None,
    ):  # fmt: skip
        least = {"workers": workers, "cpus": cpus, "object_store_mb": object_store_mb}
        for name, value in least.items():
            if value is not None and not value > 0:
                raise JobError(f"engine ray: expected {name} above 0, got {value}")
        if gpus is not None and gpus < 0:
            raise JobError(f"engine ray: expected gpus of at least 0, got {gpus}")
        if importlib.util.find_spec("ray") is None:
            raise MissingExtra("The engine 'ray'", "ray", "ray")
        self.address, self.workers, self.cpus, self.gpus = address, workers, cpus, gpus
        self.object_store_mb = object_store_mb
        self._told: Told = lambda event, facts: None
        self._ours = False  # whether we connected, and so disconnect
        self._nodes: dict[str, str] = {}  # id -> host, of those that were alive
        self._looked = 0.0

    def __repr__(self) -> str:
        return f"Ray(address={self.address!r}, workers={self.workers}, cpus={self.cpus}, gpus={self.gpus})"

    def open(self, told: Told) -> None:
        self._told = told

    def close(self) -> None:
        if self._ours:
            import ray

            ray.shutdown()
            self._ours = False

    def each(
        self, work: Callable[[Item], Result], items: Iterable[Item], *, few: int = 1,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[tuple[int, Result]]:  # fmt: skip
        source, first = iter(items), 0
        while part := [] if stop() else list(islice(source, REACH)):
            if len(part) <= few:
                for number, item in enumerate(part):
                    if stop():
                        return
                    yield first + number, work(item)
            else:
                for number, result in self._spread(work, part, stop):
                    yield first + number, result
            first += len(part)

    def write(
        self, model: TextModel, asked: Iterator[Asked], came: generation.Told, held: Mapping[str, Any],
        seeds: Mapping[int, int], *, stop: Callable[[], bool],
    ) -> None:  # fmt: skip
        if ray_llm.fits(model):
            ray_llm.write(model, asked, came, held, connect=self._connected, look=self._look, workers=self.workers, stop=stop)
            return
        pieces: list[list[Asked]] = []

        def handed() -> Iterator[tuple[list[Asked], dict[int, int]]]:
            while piece := list(islice(asked, SLICE)):
                pieces.append(piece)
                yield piece, {one.number: seeds[one.number] for one in piece}

        for number, answers in self.each(Writing(model, held), handed(), few=0, stop=stop):
            for one, answer in zip(pieces[number], answers, strict=True):
                came(one.number, answer)

    def encode(self, model: Embedder, items: Sequence[Any]) -> np.ndarray:
        if len(items) <= 2 * EMBEDDED:
            return model.encode(items)
        return encoded(self, model, items)

    def _spread(
        self, work: Callable[[Any], Result], items: Sequence[Any], stop: Callable[[], bool]
    ) -> Iterator[tuple[int, Result]]:
        """One map over items. Ray does a piece again whose worker or node is lost: its number says whether it came already."""
        ray = self._connected()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        gpus = self._gpus(ray, work)
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        gate = ray.remote(num_cpus=0)(Gate).options(scheduling_strategy=here).remote(TRIES)
        rows = [{"number": number, "item": _packed(item, "a piece of work")} for number, item in enumerate(items)]
        shared = ray.put(_packed((work, fingerprint(), os.getcwd(), os.path.abspath(refs.base())), type(work).__name__))
        found = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            Worker,
            fn_constructor_args=([shared, gate],),
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(len(rows), self._room(ray, gpus))),
            num_cpus=self.cpus,
            num_gpus=gpus,
        )
        told: set[int] = set()
        for number, packed in _rows(found):
            self._look(ray)
            if number in told:
                continue
            told.add(number)
            kind, result = pickle.loads(packed)
            if kind == "raised":
                raise result.error
            if kind == "done":
                yield number, result
            if stop():
                gate.shut.remote()
        self._look(ray, now=True)
        if again := ray.get(gate.again.remote()):
            self._told("done_again", {"pieces": again, "of": len(rows)})

    def _connected(self) -> Any:
        """The module `ray`, connected to the cluster."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
        os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
        import ray
        import ray.data

        if not ray.is_initialized():
            quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
            try:
                if self.address or os.environ.get("RAY_ADDRESS"):
                    ray.init(address=self.address, **quiet)
                else:
                    cores = max(os.cpu_count() or 1, round((self.workers or 0) * self.cpus))
                    store = self.object_store_mb * 1_000_000 if self.object_store_mb else None
                    ray.init("local", num_cpus=cores, object_store_memory=store, include_dashboard=False, **quiet)
            except (ConnectionError, TimeoutError) as error:
                said = str(error).strip().partition("\n")[0]
                raise SparringError(f"engine ray: expected a cluster at {self.address or 'RAY_ADDRESS'}; {said}") from None
            self._ours = True
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        if not self._nodes:
            self._nodes = _alive(ray)
            has = ray.cluster_resources()
            self._told("workers", {"nodes": len(self._nodes), "cpus": has.get("CPU", 0), "gpus": has.get("GPU", 0)})
        return ray

    def _gpus(self, ray: Any, work: Any) -> float:
        if not getattr(work, "gpu", False):
            return 0
        there = ray.cluster_resources().get("GPU", 0)
        return (1.0 if there else 0.0) if self.gpus is None else self.gpus

    def _room(self, ray: Any, gpus: float) -> int:
        """Workers that the cluster has room for."""
        has = ray.cluster_resources()
        room = has.get("GPU", 0) / gpus if gpus else has.get("CPU", 0) / self.cpus
        if room < 1:
            what = f"{gpus:g} GPU" if gpus else f"{self.cpus:g} CPUs"
            raise UserError(
                f"engine ray: expected a cluster with {what} for a worker; it has {_told(has)}. Fix: `cpus`, `gpus`"
            )
        return min(int(room), self.workers or int(room))

    def _look(self, ray: Any, *, now: bool = False) -> None:
        """Says which nodes are gone."""
        if not now and time.monotonic() - self._looked < LOOKED:
            return
        self._looked, alive = time.monotonic(), _alive(ray)
        for node in self._nodes.keys() - alive.keys():
            self._told("node_lost", {"host": self._nodes[node], "nodes": len(alive)})
        self._nodes = alive


def _packed(what: Any, name: str) -> bytes:
    from ray import cloudpickle

    try:
        return cloudpickle.dumps(what)
    except (TypeError, pickle.PicklingError) as error:
        raise JobError(f"engine ray: {name} can't be sent to another process ({error}). Fix: `engine: local`") from error


def _rows(found: Any) -> Iterator[tuple[int, bytes]]:
    """(number, result) of a data set as its blocks come."""
    for batch in found.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from zip(batch["number"].to_pylist(), batch["result"].to_pylist(), strict=True)


def _alive(ray: Any) -> dict[str, str]:
    return {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}


def _told(has: Mapping[str, float]) -> str:
    return ", ".join(f"{has.get(name, 0):g} {name}" for name in ("CPU", "GPU"))
