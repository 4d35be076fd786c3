"""What two data sets or splits share: the same text, the same form, near text, near meaning."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparring.errors import DataError
from sparring.index import Index
from sparring.minhash import Near
from sparring.protocols import Embedder
from sparring.record import digest

from ..probe.stats import Share, wilson
from . import minhash
from .pairs import product

MOST = 32  # rows of one form on one side that each row of the other side is paired with
PREVIEWS = 10


@dataclass(frozen=True, slots=True)
class Side:
    """One data set: `labels` are names, None where a row has none; `vectors` (n, d) float32 unit, if they are there already."""

    name: str
    ids: Sequence[str]
    texts: Sequence[str]
    labels: Sequence[str | None] | None = None
    vectors: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """Pairs of a row of the one side and a `other` of the other with their similarity, in order, (m,) each; `conflicting` (m,)
    bool: labels that differ. `a` and `b` are the shares of each side's rows in some pair, with intervals; None of no rows."""

    name: str
    row: np.ndarray
    other: np.ndarray
    similarity: np.ndarray
    conflicting: np.ndarray
    a: Share | None
    b: Share | None


@dataclass(frozen=True, slots=True)
class Leakage:
    """Levels from `exact` to `cosine`, each on its own; `recall` of `near` as measured, None without any."""

    a: Side
    b: Side
    levels: tuple[Level, ...]
    recall: Share | None

    def lines(self) -> list[str]:
        """For people: a line a level, then masked previews of the pairs of the first level that has any."""
        out = [f"{self.a.name}: {len(self.a.ids):,} rows; {self.b.name}: {len(self.b.ids):,} rows"]
        for level in self.levels:
            conflicts = int(level.conflicting.sum())
            sides = "; ".join(_said(s, side.name) for s, side in ((level.a, self.a), (level.b, self.b)))
            out.append(f"{level.name}: {sides}" + (f"; {conflicts:,} pairs with different labels" if conflicts else ""))
        if self.recall:
            out.append(
                f"near: found {self.recall[0]:.1%} ({self.recall[1]:.1%} to {self.recall[2]:.1%}) of a sample searched exactly"
            )
        for level in self.levels:
            if len(level.row):
                return [*out, *(f"  {p['a']} = {p['b']} ({level.name}): {p['preview']}" for p in self._pairs(level)[:PREVIEWS])]
        return out

    def to_json(self) -> dict[str, Any]:
        """Counts, shares and pairs by id; of texts only masked previews."""
        return {
            "a": {"name": self.a.name, "rows": len(self.a.ids)},
            "b": {"name": self.b.name, "rows": len(self.b.ids)},
            "recall": self.recall,
            "levels": {
                level.name: {
                    "a": level.a, "b": level.b, "conflicting": int(level.conflicting.sum()), "pairs": self._pairs(level),
                }
                for level in self.levels
            },
        }  # fmt: skip

    def _pairs(self, level: Level) -> list[dict[str, Any]]:
        from ..probe.examine import masked

        found = zip(level.row, level.other, level.similarity, level.conflicting, strict=True)
        return [
            {
                "a": self.a.ids[i], "b": self.b.ids[j], "similarity": round(float(s), 4), "conflicting": bool(c),
                "preview": masked(self.a.texts[i]),
            }
            for i, j, s, c in found
        ]  # fmt: skip


def leakage(a: Side, b: Side, *, embedder: Embedder | None = None, threshold: float = 0.7, cosine: float = 0.95) -> Leakage:
    """Rows that stand on both sides, by four measures.

    `exact`: the same text but for white space at its ends. `masked`: the same canonical form at level `mask`. `near`: Jaccard
    similarity above `threshold` in a reading of `minhash.find`, candidates by MinHash. `cosine`: of embeddings, above `cosine`,
    where both sides have `vectors` or an embedder is given. Where more than `MOST` rows of a side have one form, not every pair
    is listed, but every row that leaks stands in one.
    """
    for side in (a, b):
        _check(side)
    found = minhash.find(itertools.chain(a.texts, b.texts), threshold=threshold)
    none = np.zeros(0, np.int64)
    same = [
        Near(_number(keys), none, none, np.zeros(0, np.float32), 0, 0, True)
        for keys in ((t.strip() for t in itertools.chain(a.texts, b.texts)), found.forms)
    ]
    levels = [
        _level("exact", a, b, *_across(same[:1], a, b)), _level("masked", a, b, *_across(same[1:], a, b)),
        _level("near", a, b, *_across(found.readings, a, b)),
    ]  # fmt: skip
    one, two = (s.vectors if s.vectors is not None or not embedder else embedder.encode(s.texts) for s in (a, b))
    if one is not None and two is not None:
        levels.append(_level("cosine", a, b, *_cosine(one, two, cosine)))
    return Leakage(a, b, tuple(levels), found.recall)


def _number(keys: Iterable[str]) -> np.ndarray:
    first: dict[str, int] = {}
    return np.array([first.setdefault(digest(key), i) for i, key in enumerate(keys)], np.int64)


def _across(readings: Sequence[Near], a: Side, b: Side) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(row of a, row of b, similarity) from pairs of forms of both sides' rows, a's before b's."""
    found = []
    for near in readings:
        form, number = np.unique(near.same, return_inverse=True)
        orders, starts, sizes = [], [], []
        for mine, side in ((number[: len(a.ids)], a), (number[len(a.ids) :], b)):
            by_id = np.argsort(np.array(side.ids, object), kind="stable")
            orders.append(by_id[np.argsort(mine[by_id], kind="stable")])
            sizes.append(np.bincount(mine, minlength=len(form)))
            starts.append(np.cumsum(sizes[-1]) - sizes[-1])
        one, two = np.searchsorted(form, near.row), np.searchsorted(form, near.other)
        left, right = np.r_[np.arange(len(form)), one, two], np.r_[np.arange(len(form)), two, one]
        similarity = np.r_[np.ones(len(form)), near.similarity, near.similarity]
        few = np.minimum(sizes[0], MOST)
        for start, count, times in (
            (starts[0], few, sizes[1]), (starts[0] + few, sizes[0] - few, np.minimum(sizes[1], MOST)),
        ):  # fmt: skip
            row, other, pair = product(start[left], count[left], starts[1][right], times[right])
            found.append((orders[0][row], orders[1][other], similarity[pair]))
    row, other, value = (np.concatenate([f[i] for f in found]) for i in range(3))
    order = np.lexsort((-value, other, row))
    order = order[np.r_[True, (np.diff(row[order]) != 0) | (np.diff(other[order]) != 0)][: len(order)]]
    return row[order], other[order], value[order].astype(np.float32)


def _cosine(one: np.ndarray, two: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if one.shape[1:] != two.shape[1:]:
        raise DataError(
            f"expected vectors of one embedder; got {one.shape[1:]} and {two.shape[1:]}. Fix: embed both sides alike"
        )
    if not len(one) or not len(two):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
    row, other = Index(two).pairs(one, threshold)
    order = np.lexsort((other, row))
    row, other = row[order].astype(np.int64), other[order].astype(np.int64)
    return row, other, np.einsum("ij,ij->i", one[row], two[other]).astype(np.float32)


def _level(name: str, a: Side, b: Side, row: np.ndarray, other: np.ndarray, similarity: np.ndarray) -> Level:
    conflicting = np.zeros(len(row), bool)
    if a.labels is not None and b.labels is not None:
        said = ((a.labels[i], b.labels[j]) for i, j in zip(row, other, strict=True))
        conflicting = np.fromiter((x is not None and y is not None and x != y for x, y in said), bool, len(row))
    shares = [wilson(len(np.unique(rows)), len(s.ids)) if len(s.ids) else None for rows, s in ((row, a), (other, b))]
    return Level(name, row, other, similarity, conflicting, *shares)


def _said(share: Share | None, name: str) -> str:
    if share is None:
        return f"no rows in {name}"
    value, low, high, n = share
    return f"{round(value * n):,} rows of {name} ({value:.2%}, {low:.2%} to {high:.2%})"


def _check(side: Side) -> None:
    lengths = {len(side.ids), len(side.texts)} | {len(x) for x in (side.labels, side.vectors) if x is not None}
    if lengths != {len(side.ids)}:
        raise ValueError(
            f"{side.name}: expected a text, a label and a vector for each of {len(side.ids)} ids; got {sorted(lengths)}"
        )
