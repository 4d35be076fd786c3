"""What crosses between a writer and its model while it works: prompts in as there is room, answers out as they come."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

from .protocols import Completion, TextModel

SLICE = 64  # prompts asked at once of a model that tells its answers only when all are there


@dataclass(frozen=True, slots=True)
class Asked:
    """One prompt; `number` says which of those that were asked together, `seed` (31 bits) belongs to this prompt alone."""

    number: int
    system: str
    user: str
    seed: int


Told = Callable[[int, Completion], None]  # the number of a prompt, and its answer


def asked(prompts: Iterable[tuple[str, str]], seeds: Iterable[int]) -> Iterator[Asked]:
    """Each prompt with a seed made of its own and of what it says, so that its neighbours do not matter."""
    for number, ((system, user), seed) in enumerate(zip(prompts, seeds, strict=True)):
        yield Asked(number, system, user, prompt_seed(seed, system, user))


def prompt_seed(seed: int, system: str, user: str) -> int:
    """31 bits, which every engine takes."""
    # `record.digest(seed, system, user)`, which takes three times as long to find that these are plain.
    blob = f"[{seed},{encode_basestring(system)},{encode_basestring(user)}]".encode("utf-8", "surrogatepass")
    return int(hashlib.blake2b(blob, digest_size=12).hexdigest()[:8], 16) >> 1


def stream(model: TextModel, asked: Iterator[Asked], came: Told, seeds: Mapping[int, int], held: Mapping[str, Any]) -> None:
    """Prompts into the model as it has room, answers out as they come; in slices where it can't."""
    if hasattr(model, "stream"):
        model.stream(asked, came, **held)
        return
    waiting: list[Asked] = []

    def ask() -> None:
        for seed in dict.fromkeys(seeds[one.number] for one in waiting):
            mine = [one for one in waiting if seeds[one.number] == seed]
            found = model.complete([(one.system, one.user) for one in mine], seed=seed, **held)
            for one, answer in zip(mine, found, strict=True):
                came(one.number, answer)
        waiting.clear()

    for one in asked:
        waiting.append(one)
        if len(waiting) == SLICE:
            ask()
    ask()
