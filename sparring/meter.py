"""What a run has spent, against the job's limits. A limit that is reached ends the run in good order: nothing new is begun,
what is there is measured and published, and the summary says which limit it was."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .protocols import Completion

if TYPE_CHECKING:
    from .jobs import Limits
    from .store import Run


class Meter:
    """Reads `run.spent`, which holds over all processes that worked on the run, and what is under way.

    `seconds` counts from the start of this process; everything else over the whole run.
    """

    def __init__(self, limits: Limits, run: Run):
        self.limits, self.run = limits, run
        self.gpus = _gpus() if limits.gpus is None else limits.gpus
        self.stopped: dict[str, Any] | None = None
        self._started = time.monotonic()
        self._promised: Counter[str] = Counter()  # tokens of texts that are there and in no shard yet
        self._kept: dict[str, deque[bool]] = {}

    def stop(self) -> bool:
        """Whether nothing new may be begun. Asked before each piece of work that is not there yet."""
        if self.stopped is None and (found := self._reached()):
            name, used, most = found
            self.stopped = {"limit": name, "used": round(used, 4), "most": most}
            self.run.log.write("limit_reached", self.stopped)
        return self.stopped is not None

    def room(self, wanted: int, *, each: int) -> int:
        """How many of `wanted` seeds still fit if each takes `each` queries: the limit on queries is never exceeded."""
        room = self.left(each=each)
        if room is None:
            return wanted
        if room < wanted and self.stopped is None:
            self.stopped = {"limit": "queries", "used": int(self.spent()["queries"]), "most": self.limits.queries}
            self.run.log.write("limit_reached", self.stopped)
        return max(0, min(wanted, room))

    def left(self, *, each: int) -> int | None:
        """Seeds that still fit if each takes `each` queries; None where nothing limits them."""
        most = self.limits.queries
        return None if most is None else (most - int(self.spent()["queries"])) // each

    def judged(self, what: str, kept: Sequence[bool]) -> None:
        """Which of the newest texts or attacked seeds came to something, for the limit on a falling yield."""
        self._kept.setdefault(what, deque(maxlen=self.limits.yield_over)).extend(kept)

    def promise(self, model: str, answer: Completion) -> None:
        self._promised += self._tokens(model, answer)

    def charge(self, model: str, answer: Completion, *, promised: bool) -> None:
        if promised:
            self._promised -= self._tokens(model, answer)
        self.run.charge(self._tokens(model, answer))

    def spent(self) -> Counter[str]:
        return Counter(self.run.spent) + self._promised

    def totals(self) -> dict[str, float]:
        spent = self.spent()
        gpu = self.gpus * (spent["seconds"] + self.run.since_commit())
        tokens = sum(n for name, n in spent.items() if name.partition(":")[0] in ("read", "written"))
        return {"queries": spent["queries"], "tokens": tokens, "gpu_seconds": gpu, "money": self.money(spent, gpu)}

    def money(self, spent: Mapping[str, float], gpu_seconds: float) -> float:
        prices = self.limits.prices
        total = gpu_seconds / 3600 * prices.gpu_hour + spent.get("queries", 0) / 1000 * prices.thousand_queries
        return total + sum(self.price(name, n) for name, n in spent.items())

    def price(self, name: str, n: float) -> float:
        """Of tokens, named `read:MODEL` or `written:MODEL`."""
        side, _, model = name.partition(":")
        price = self.limits.prices.models.get(model)
        return n / 1e6 * (getattr(price, side) if price and side in ("read", "written") else 0.0)

    def _reached(self) -> tuple[str, float, float] | None:
        totals = self.totals() | {"seconds": time.monotonic() - self._started}
        for name, used in totals.items():
            most = getattr(self.limits, name)
            if most is not None and used >= most:
                return name, used, most
        least = self.limits.least_yield
        for what, kept in self._kept.items():
            if least is not None and len(kept) == kept.maxlen and sum(kept) / len(kept) < least:
                return f"yield:{what}", sum(kept) / len(kept), least
        return None

    @staticmethod
    def _tokens(model: str, answer: Completion) -> Counter[str]:
        return Counter({f"read:{model}": answer.prompt_tokens, f"written:{model}": answer.tokens})


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()
