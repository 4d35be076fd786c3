"""Which rows to label next under a budget: a selector's, within rules that hold for all, beside a share of random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sparring import registry
from sparring.errors import DataError

from . import audit as audits
from .audit import Draw
from .base import Pool, Selector


@dataclass(frozen=True, slots=True)
class Quota:
    """Bounds on how many chosen rows a group may and must have. `of` (n,) int names each row's group: its given label, the one
    predicted, its slice, its language. `least` and `most` bind groups by number; those not named are free."""

    name: str
    of: np.ndarray
    least: Mapping[int, int] = field(default_factory=dict)
    most: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """`rows` (m,) row numbers in order of choice, the audit's first; `audit` (m,) bool, which were drawn at random; `draw` the
    audit's design, for `audit.estimate`; `short` why there are fewer rows than asked, or fewer of a group."""

    rows: np.ndarray
    audit: np.ndarray
    draw: Draw
    short: tuple[str, ...] = ()

    def among(self, numbers: np.ndarray) -> Selection:
        """The same where row i of the pool is row `numbers[i]` of a larger one."""
        return replace(self, rows=numbers[self.rows], draw=replace(self.draw, rows=numbers[self.draw.rows]))


def select(
    pool: Pool, budget: int, strategy: str = "mixed", *, audit: float = 0.1, strata: np.ndarray | None = None,
    quotas: Sequence[Quota] = (), near: float = 0.95, seed: int = 0,
) -> Selection:  # fmt: skip
    """At most `budget` rows of the pool that were not chosen before.

    The share `audit`, rounded up, is drawn at random first, from all open rows (in `strata` (n,) int, where given): no rule
    but the budget binds it, or its estimates would be of another population. It counts towards quotas. The rest is the
    selector's: no row with cosine > `near` to one chosen now or before, no group above its `most`; groups below their `least`
    come first. Rules win over the budget: what cannot be met is said in `short`.

    Raises `DataError` for a budget below 0, shares outside [0, 1], quotas that contradict each other or the budget.
    """
    _check(pool, budget, audit, quotas)
    registry.find("selector", strategy)  # a wrong name is said for an empty pool too
    open = np.ones(len(pool), bool)
    open[pool.chosen] = False
    drawn = audits.draw(open, int(np.ceil(audit * budget - 1e-9)), seed=seed, strata=strata)
    rules = Rules(pool, open, quotas, near, budget)
    rows = [int(row) for row in drawn.rows]
    for row in rows:
        rules.take(row)
    if len(rows) < min(budget, len(open)) and open.any():
        selector: Selector = registry.make("selector", strategy, pool=pool, seed=seed)
        for row in rows:
            selector.take(row)
        while len(rows) < budget and (candidates := rules.candidates()).any():
            row = selector.propose(candidates)
            if rules.admits(row):
                rules.take(row)
                selector.take(row)
                rows.append(row)
    is_audit = np.arange(len(rows)) < len(drawn.rows)
    return Selection(np.array(rows, np.int64), is_audit, drawn, rules.short(budget, len(rows)))


class Rules:
    """What is open, kept up to date as rows are taken."""

    def __init__(self, pool: Pool, open: np.ndarray, quotas: Sequence[Quota], near: float, budget: int):
        self._vectors, self._near, self._quotas, self._open = pool.vectors, near, quotas, open
        self._taken = np.empty((len(pool.chosen) + min(budget, len(pool)), pool.vectors.shape[1]), pool.vectors.dtype)
        self._size = len(pool.chosen)
        self._taken[: self._size] = pool.vectors[pool.chosen]
        self._count: list[dict[int, int]] = [{} for _ in quotas]
        self._twins = 0
        for quota, count in zip(quotas, self._count, strict=True):
            self._shut(quota, count)

    def candidates(self) -> np.ndarray:
        """(n,) bool: open rows; while a group is below its least, those alone that help most such groups."""
        need = np.zeros(len(self._open), np.int64)
        for quota, count in zip(self._quotas, self._count, strict=True):
            lacking = [group for group, least in quota.least.items() if count.get(group, 0) < least]
            need += np.isin(quota.of, lacking) & self._open
        return self._open & (need == need.max()) if need.any() else self._open

    def admits(self, row: int) -> bool:
        """False, and shut for good, for a near duplicate of a row that was taken."""
        if self._near < 1 and self._size and float((self._taken[: self._size] @ self._vectors[row]).max()) > self._near:
            self._open[row] = False
            self._twins += 1
            return False
        return True

    def take(self, row: int) -> None:
        self._open[row] = False
        self._taken[self._size] = self._vectors[row]
        self._size += 1
        for quota, count in zip(self._quotas, self._count, strict=True):
            group = int(quota.of[row])
            count[group] = count.get(group, 0) + 1
            self._shut(quota, count)

    def _shut(self, quota: Quota, count: dict[int, int]) -> None:
        full = [group for group, most in quota.most.items() if count.get(group, 0) >= most]
        if full:
            self._open &= ~np.isin(quota.of, full)

    def short(self, budget: int, found: int) -> tuple[str, ...]:
        out = []
        if found < budget:
            why = f"{self._twins} near duplicates left out" if self._twins else "no other row is open"
            out.append(f"{found} of {budget} rows: {why}")
        for quota, count in zip(self._quotas, self._count, strict=True):
            out += [
                f"{quota.name} {group}: {count.get(group, 0)} of at least {least}"
                for group, least in quota.least.items()
                if count.get(group, 0) < least
            ]
        return tuple(out)


def _check(pool: Pool, budget: int, audit: float, quotas: Sequence[Quota]) -> None:
    if budget < 0:
        raise DataError(f"expected a budget of 0 rows or more, got {budget}")
    if not 0 <= audit <= 1:
        raise DataError(f"expected a share of audit rows in [0, 1], got {audit}")
    for quota in quotas:
        if np.shape(quota.of) != (len(pool),):
            raise DataError(f"quota {quota.name}: expected the group of each of {len(pool)} rows, got {np.shape(quota.of)}")
        if (asked := sum(quota.least.values())) > budget:
            raise DataError(
                f"quota {quota.name}: expected at most {budget} rows in all, the budget; its groups ask for {asked}"
            )
        for group, least in quota.least.items():
            if least > quota.most.get(group, least):
                raise DataError(
                    f"quota {quota.name}: group {group} is to have at least {least} and at most {quota.most[group]}"
                )
