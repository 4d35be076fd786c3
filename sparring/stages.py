"""What the loop asks of a stage. `synth`, `redteam` and `mining` each offer it; the command hands them in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .context import Context
from .record import Record
from .results import AttackResult, Niche, Twins
from .retrain import Trained


class Known(Protocol):
    """What an attacker learned about a target on training rows."""

    @property
    def queries(self) -> int: ...
    @property
    def phrase_texts(self) -> tuple[str, ...]: ...
    @property
    def unsteady(self) -> float: ...


class Elites(Protocol):
    """The best success of each kind so far."""

    @property
    def niches(self) -> Mapping[str, Niche]: ...
    def told(self, number: int) -> dict[str, Any]: ...
    def summary(self) -> dict[str, Any]: ...


class Findings(Protocol):
    """What mining found in the user's training rows."""

    @property
    def label_issues(self) -> tuple[str, ...]: ...
    @property
    def near_duplicate_groups(self) -> int: ...


class Synth(Protocol):
    def generate(self, ctx: Context, *, round: int) -> tuple[list[Record], dict[str, Any]]:
        """Violating records that the filter judge accepted, and `generated`, `accepted`, `rejected` by reason."""
        ...


class RedTeam(Protocol):
    def learn(self, ctx: Context, path: str, trained: Trained) -> Known: ...

    def attack(
        self, ctx: Context, path: str, trained: Trained, known: Any, seeds: Sequence[Record], *, round: int,
        only: Sequence[str] = (), wins: int = 1,
    ) -> list[AttackResult]:  # fmt: skip
        """With the job's operators, or with `only` those; up to `wins` successes of each seed."""
        ...

    def records(
        self, ctx: Context, results: Sequence[AttackResult], seeds: Sequence[Record], *, round: int
    ) -> list[Record]: ...

    def rejected(
        self, ctx: Context, results: Sequence[AttackResult], seeds: Sequence[Record], *, round: int
    ) -> list[tuple[Record, str]]: ...

    def elites(
        self, ctx: Context, path: str, known: Any, won: Sequence[Record], earlier: Sequence[Record],
        seeds: Sequence[Record], *, round: int,
    ) -> Elites: ...  # fmt: skip

    def twins(self, ctx: Context, attacked: Sequence[Record], known: Any, trained: Trained, *, round: int) -> Twins:
        """Benign look-alikes of the successes, each in a pair with one, and which of them the target wrongly blocks."""
        ...

    def hard_negatives(self, ctx: Context, found: Twins, won: Sequence[Record], kept: Sequence[Record], *, round: int) -> None:
        """Writes what the target said of each look-alike `kept`, and those that it blocked beside what they look like."""
        ...

    def at_random(self, ctx: Context, parents: Sequence[Record], *, n: int) -> list[Record]: ...

    def by_gradient(self, ctx: Context, trained: Trained, parents: Sequence[Record], *, n: int) -> list[Record]:
        """Images moved along the target's gradient; none of texts, and none where it gives no gradients."""
        ...


class Mining(Protocol):
    def examine(self, ctx: Context) -> Findings: ...

    def pick(
        self, ctx: Context, hard: Sequence[Record], trained: Trained, niches: Mapping[str, Niche], *, round: int
    ) -> list[Record]: ...  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stages:
    """Modules or objects; whatever offers the functions will do."""

    synth: Synth
    redteam: RedTeam
    mining: Mining
