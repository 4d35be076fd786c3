"""Which near duplicates may go, and why: nothing by way of a third row, nothing rare, nothing whose label is in doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparring.arrays import adjacency

from .pairs import Pairs

CROWD = 16  # pairs of a row above which it is a flood's, of which not every pair is listed: who stands in most is kept first


@dataclass(frozen=True, slots=True)
class Evidence:
    """Pairs by one measure, "text" say; those with a similarity above `threshold` count, whatever the data set."""

    name: str
    pairs: Pairs
    threshold: float


@dataclass(frozen=True, slots=True)
class Removal:
    """`stands_for` (n,) int64: the kept row that a removed one is a near duplicate of, -1 where the row stays.

    `why_removed` and `why_spared` say it in words, "" where there is nothing to say; a spared row has a kept near duplicate,
    but stays. `conflicts` (c, 2) int64 are near pairs whose labels differ, questions to an annotator: none of their rows goes.
    """

    stands_for: np.ndarray
    why_removed: tuple[str, ...]
    why_spared: tuple[str, ...]
    conflicts: np.ndarray

    @property
    def removed(self) -> np.ndarray:
        """(n,) bool"""
        return self.stands_for >= 0


def plan(
    evidence: Sequence[Evidence], ids: Sequence[str], labels: np.ndarray, *, sources: Sequence[str] | None = None,
    priority: np.ndarray | None = None, rare: float = 0.05, most: float = 0.5,
) -> Removal:  # fmt: skip
    """What may be removed among n rows; the same whatever their order, since unique `ids` decide every tie.

    `labels` (n,) int, 0 benign, -1 unlabelled. A row goes only for a kept row near to it, of its label or, where it has none,
    of any; earlier evidence first, then the most similar. Kept first: rows that may not go, labelled ones, those of high
    `priority` (n,), then by id. A label other than 0 that at most `rare` of the labelled rows have is never removed, and of no
    source and no label more than the share `most`. Raises `ValueError` for lengths that differ, ids that repeat, bad shares.
    """
    n, y = len(ids), np.asarray(labels)
    source = list(sources) if sources is not None else [""] * n
    first = np.zeros(n) if priority is None else np.asarray(priority, np.float64)
    _check(ids, y, source, first, rare, most)
    near = _neighbours(evidence, ids, n)
    row, other = np.repeat(np.arange(n), np.diff(near.start)), near.row
    clash = (y[row] != y[other]) & (np.minimum(y[row], y[other]) >= 0)
    conflicts = np.stack([row[clash & (row < other)], other[clash & (row < other)]], 1)
    conflicts = conflicts[np.lexsort(conflicts.T[::-1])]
    disputed = np.zeros(n, bool)
    disputed[conflicts.ravel()] = True
    count = Counter(y.tolist())
    scarce = [label for label in count if label > 0 and count[label] <= rare * (n - count[-1])]
    stays = disputed | np.isin(y, scarce)
    # Greedily, so that what stands for a removed row is itself kept (no transitive deletion).
    crowd, kept = np.maximum(np.diff(near.start) - CROWD, 0), np.zeros(n, bool)
    goes: dict[int, tuple[int, float, int]] = {}  # row: evidence, -similarity, the row that stands for it
    spared = [""] * n
    for i in np.lexsort((near.rank, -crowd, -first, y < 0, ~stays)).tolist():
        if near.start[i] == near.start[i + 1]:
            continue
        others = slice(near.start[i], near.start[i + 1])
        there = kept[near.row[others]] & ((y[near.row[others]] == y[i]) | (y[i] < 0))
        best = near.start[i] + int(there.argmax())  # the first there is
        found = bool(there.any())
        if found and not stays[i]:
            goes[i] = int(near.evidence[best]), -float(near.similarity[best]), int(near.row[best])
            continue
        kept[i] = True
        if disputed[i]:
            against = other[others][clash[others]]
            spared[i] = f"its label conflicts with that of {ids[against[near.rank[against].argmin()]]}"
        elif found:
            spared[i] = f"at most {rare:.0%} of the labelled rows have its label"
    stands_for, why = np.full(n, -1), [""] * n
    room: dict[tuple[str, str | int], int] = {("source", s): int(most * c) for s, c in Counter(source).items()}
    room |= {("label", k): int(most * c) for k, c in count.items()}
    for i in sorted(goes, key=lambda i: (*goes[i][:2], near.rank[i])):
        number, similarity, j = goes[i]
        of: list[tuple[str, str | int]] = [("source", source[i]), ("label", int(y[i]))]
        if full := [name for name, what in of if not room[name, what]]:
            spared[i] = f"{most:.0%} of its {full[0]} are removed already"
            continue
        for what in of:
            room[what] -= 1
        stands_for[i] = j
        why[i] = f"near duplicate of {ids[j]} ({evidence[number].name} similarity {-similarity:.3f})"
    return Removal(stands_for, tuple(why), tuple(spared), conflicts)


@dataclass(frozen=True, slots=True)
class _Near:
    """Row i is near to `row[start[i]:start[i + 1]]`, each once: by the first `evidence` that says so, then the most similar,
    then by id, whose order is `rank` (n,)."""

    start: np.ndarray
    row: np.ndarray
    evidence: np.ndarray
    similarity: np.ndarray
    rank: np.ndarray


def _neighbours(evidence: Sequence[Evidence], ids: Sequence[str], n: int) -> _Near:
    for one in evidence:
        if len(one.pairs) and int(one.pairs.other.max()) >= n:
            raise ValueError(f"expected pairs of {n} rows as evidence {one.name!r}; got row {int(one.pairs.other.max())}")
    kept = [one.pairs.similarity > one.threshold for one in evidence]
    none = np.zeros(0, np.int64)
    row, other, similarity = (
        np.concatenate([none, *(getattr(one.pairs, name)[above] for one, above in zip(evidence, kept, strict=True))])
        for name in ("row", "other", "similarity")
    )
    number = np.repeat(np.arange(len(evidence)), [int(above.sum()) for above in kept])
    rank = np.empty(n, np.int64)
    rank[sorted(range(n), key=ids.__getitem__)] = np.arange(n)
    row, other = row.astype(np.int64), other.astype(np.int64)
    once = np.unique(row * n + other, return_index=True)[1]  # the first, of the first evidence
    row, other, number, similarity = row[once], other[once], number[once], similarity[once]
    start, end, pair = adjacency(row, other, n)
    order = np.lexsort((rank[end], -similarity[pair], number[pair], np.repeat(np.arange(n), np.diff(start))))
    end, pair = end[order], pair[order]
    return _Near(start, end, number[pair], similarity[pair], rank)


def _check(ids: Sequence[str], labels: np.ndarray, source: list[str], priority: np.ndarray, rare: float, most: float) -> None:
    n = len(ids)
    if {len(labels), len(source), len(priority)} != {n}:
        raise ValueError(
            f"expected a label, a source and a priority for each of {n} ids; got {len(labels)}, {len(source)}, {len(priority)}"
        )
    if len(set(ids)) < n:
        twice = min(i for i, count in Counter(ids).items() if count > 1)
        raise ValueError(f"expected unique ids; {twice!r} is there more than once. Fix: number the rows")
    if not (0 <= rare <= 1 and 0 <= most <= 1):
        raise ValueError(f"expected shares between 0 and 1; got rare {rare}, most {most}")
