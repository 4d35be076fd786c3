"""What crosses between a writer and its model while it works: prompts in as there is room, answers out as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .protocols import Completion
from .record import digest


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
    return int(digest(seed, system, user)[:8], 16) >> 1
