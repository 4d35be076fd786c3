"""Which near duplicates may go, and why: nothing by way of a third row, nothing rare, nothing whose label is in doubt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .pairs import Pairs


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
    near = _neighbours(evidence, n)
    conflicts = sorted(
        {(i, j) for i, others in near.items() for j in others if i < j and y[i] != y[j] and min(y[i], y[j]) >= 0}
    )
    disputed = {i: j for pair in reversed(conflicts) for i, j in (pair, pair[::-1])}
    count = Counter(y.tolist())
    scarce = {label for label in count if label > 0 and count[label] <= rare * (n - count[-1])}
    stays = {i for i in near if i in disputed or int(y[i]) in scarce}
    # Greedily, so that what stands for a removed row is itself kept (no transitive deletion).
    order = sorted(near, key=lambda i: (i not in stays, y[i] < 0, -first[i], ids[i]))
    kept: set[int] = set()
    goes: dict[int, tuple[int, float, int]] = {}  # row: evidence, -similarity, the row that stands for it
    spared = [""] * n
    for i in order:
        there = [(*near[i][j], ids[j], j) for j in near[i] if j in kept and (y[i] == y[j] or y[i] < 0)]
        if there and i not in stays:
            number, similarity, _, j = min(there)
            goes[i] = number, similarity, j
            continue
        kept.add(i)
        if i in disputed:
            spared[i] = f"its label conflicts with that of {min(ids[j] for j in near[i] if y[j] != y[i] and y[j] >= 0)}"
        elif there:
            spared[i] = f"at most {rare:.0%} of the labelled rows have its label"
    stands_for, why = np.full(n, -1), [""] * n
    room: dict[tuple[str, str | int], int] = {("source", s): int(most * c) for s, c in Counter(source).items()}
    room |= {("label", k): int(most * c) for k, c in count.items()}
    for i in sorted(goes, key=lambda i: (*goes[i][:2], ids[i])):
        number, similarity, j = goes[i]
        of: list[tuple[str, str | int]] = [("source", source[i]), ("label", int(y[i]))]
        if full := [name for name, what in of if not room[name, what]]:
            spared[i] = f"{most:.0%} of its {full[0]} are removed already"
            continue
        for what in of:
            room[what] -= 1
        stands_for[i] = j
        why[i] = f"near duplicate of {ids[j]} ({evidence[number].name} similarity {-similarity:.3f})"
    return Removal(stands_for, tuple(why), tuple(spared), np.array(conflicts, np.int64).reshape(-1, 2))


def _neighbours(evidence: Sequence[Evidence], n: int) -> dict[int, dict[int, tuple[int, float]]]:
    """Of each row with any, its near rows with (number of the first evidence, -similarity)."""
    near: dict[int, dict[int, tuple[int, float]]] = {}
    for number, one in enumerate(evidence):
        if len(one.pairs) and int(one.pairs.other.max()) >= n:
            raise ValueError(f"expected pairs of {n} rows as evidence {one.name!r}; got row {int(one.pairs.other.max())}")
        kept = one.pairs.similarity > one.threshold
        rows = (one.pairs.row[kept].tolist(), one.pairs.other[kept].tolist(), one.pairs.similarity[kept].tolist())
        for i, j, similarity in zip(*rows, strict=True):
            near.setdefault(i, {}).setdefault(j, (number, -similarity))
            near.setdefault(j, {}).setdefault(i, (number, -similarity))
    return near


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
