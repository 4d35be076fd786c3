"""Where a target is worse than elsewhere: clusters of the embedding and values of attributes, found on one half, tested on the
other."""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mining.probe.stats import holm, wilson
from sparring.errors import DataError, UserError

CLUSTERS = (5, 10, 20, 40)
CANDIDATES = 20  # that are tested: each costs the others power
OVERLAP = 0.5  # of two slices, by Jaccard: the weaker goes
WORDS = 5
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Slice:
    """A group of rows with more errors than the rest.

    `name`: "language=de", or "cluster 3 of 10". `rows` are all of it; `rate` with its 95% interval, `rest` (the error rate of
    the other rows) and `p` (one-sided Fisher, adjusted after Holm) come from the tested half alone, where a group counts once;
    `tested` is the slice's size there. `lift` is `rate` over `rest`, infinite where the rest has no errors. `words` tell the
    slice from the rest.
    """

    name: str
    rows: np.ndarray
    tested: int
    rate: float
    low: float
    high: float
    rest: float
    lift: float
    p: float
    words: tuple[str, ...] = ()


def find(
    errors: np.ndarray, groups: np.ndarray, *, vectors: np.ndarray | None = None,
    attributes: Mapping[str, Sequence[Any] | np.ndarray] | None = None, texts: Sequence[str] | None = None,
    clusters: Sequence[int] = CLUSTERS, smallest: int = 10, alpha: float = 0.05, seed: int = 0,
) -> tuple[Slice, ...]:  # fmt: skip
    """Slices worse than the rest at `alpha` over all that were tested, the surest first.

    `errors` (n,) bool, `groups` (n,); `vectors` (n, d) unit are clustered by k-means at each number of `clusters`; `attributes`
    give a value for each row, None for unknown. Groups are dealt into two halves: on one clusters are made and candidates
    chosen by their errors, on the other they are tested. `smallest`: rows that a candidate needs in each half.
    """
    wrong, group = np.asarray(errors), np.asarray(groups)
    n = len(wrong)
    given = {"groups": group, "vectors": vectors, "texts": texts, **(attributes or {})}
    for name, values in given.items():
        if values is not None and len(values) != n:
            raise DataError(f"expected {n} {name}, one for each row, got {len(values)}")
    if wrong.dtype != bool:
        raise DataError(f"expected errors as booleans, got {wrong.dtype}. Fix: pass `predicted != labels`")
    if vectors is not None and not np.isfinite(vectors).all():
        raise DataError("expected finite vectors, got NaN or infinity. Fix: embed these rows again")
    if smallest < 1 or not 0 < alpha < 1:
        raise UserError(f"expected `smallest` of at least 1 and `alpha` between 0 and 1, got {smallest} and {alpha}")
    found = _halves(group, seed)
    once = _first_of_group(group)
    candidates = dict(_by_attribute(attributes or {}))
    if vectors is not None:
        candidates |= _by_cluster(np.asarray(vectors, np.float32), found, clusters, smallest, seed)
    ranked = []
    for name, member in candidates.items():
        size = [int((member & half & once).sum()) for half in (found, ~found)]
        if min(size) >= smallest:
            p = _fisher(wrong, member, found & once)
            if p < 0.5:
                ranked.append((p, name))
    chosen = [name for _, name in sorted(ranked)[:CANDIDATES]]
    test = ~found & once
    adjusted = dict(zip(chosen, holm([_fisher(wrong, candidates[name], test) for name in chosen]), strict=True))
    out: list[Slice] = []
    for name in sorted(chosen, key=lambda name: (adjusted[name], name)):
        member = candidates[name]
        rows = np.flatnonzero(member)
        if adjusted[name] > alpha or any(_jaccard(rows, known.rows) > OVERLAP for known in out):
            continue
        inside, outside = wrong[member & test], wrong[~member & test]
        rate, low, high, tested = wilson(int(inside.sum()), len(inside))
        rest = float(outside.mean()) if len(outside) else 0.0
        words = telling_words(texts, member) if texts is not None else ()
        out.append(Slice(name, rows, tested, rate, low, high, rest, rate / rest if rest else math.inf, adjusted[name], words))
    return tuple(out)


def telling_words(texts: Sequence[str], member: np.ndarray, most: int = WORDS) -> tuple[str, ...]:
    """Words that more of the member texts hold than of the rest, by log-odds over their deviation, with all texts as the prior
    (Monroe et al. 2008, https://doi.org/10.1093/pan/mpn018)."""
    inside: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    m = 0
    for i in np.flatnonzero(member).tolist():
        inside.update(set(_WORD.findall(texts[i].lower())))
    for i in np.flatnonzero(~member).tolist():  # of these, words that no member has are counted and not kept
        words = set(_WORD.findall(texts[i].lower()))
        m += len(words)
        outside.update(words & inside.keys())
    n = sum(inside.values())
    weight = min(1.0, 500 / max(1, n + m))

    def z(word: str) -> float:
        prior, all_prior = weight * (inside[word] + outside[word]), weight * (n + m)
        a, b = inside[word] + prior, outside[word] + prior
        odds = math.log(a / max(n + all_prior - a, 1e-9)) - math.log(b / max(m + all_prior - b, 1e-9))
        return odds / math.sqrt(1 / a + 1 / b)

    score = {word: z(word) for word, count in inside.items() if count > 1}
    return tuple(word for word in sorted(score, key=lambda word: (-score[word], word)) if score[word] > 0)[:most]


def _halves(group: np.ndarray, seed: int) -> np.ndarray:
    """(n,) bool: in the half that finds. Groups in order of first appearance, so that their names do not matter."""
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))
    return np.random.default_rng(seed).permutation(len(first))[order][number] < (len(first) + 1) // 2


def _first_of_group(group: np.ndarray) -> np.ndarray:
    once = np.zeros(len(group), bool)
    once[np.unique(group, return_index=True)[1]] = True
    return once


def _by_attribute(attributes: Mapping[str, Sequence[Any] | np.ndarray]) -> dict[str, np.ndarray]:
    out: dict[str, np.ndarray] = {}
    for name, values in attributes.items():
        names = np.array(["" if value is None else str(value) for value in values])
        out |= {f"{name}={value}": names == value for value in np.unique(names) if value}
    return out


def _by_cluster(x: np.ndarray, found: np.ndarray, clusters: Sequence[int], smallest: int, seed: int) -> dict[str, np.ndarray]:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    out: dict[str, np.ndarray] = {}
    for k in clusters:
        if k * smallest > found.sum():
            continue
        with warnings.catch_warnings():  # of rows that are all the same there are fewer clusters
            warnings.simplefilter("ignore", ConvergenceWarning)
            nearest = KMeans(k, n_init=1, random_state=seed).fit(x[found]).predict(x)
        out |= {f"cluster {c} of {k}": nearest == c for c in range(k)}
    return out


def _fisher(wrong: np.ndarray, member: np.ndarray, among: np.ndarray) -> float:
    """One-sided p that errors are not commoner in the slice, given how many there are: a hypergeometric tail."""
    from scipy.stats import hypergeom

    inside = wrong[member & among]
    return float(hypergeom.sf(int(inside.sum()) - 1, int(among.sum()), int(wrong[among].sum()), len(inside)))


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    both = len(np.intersect1d(a, b, assume_unique=True))
    return both / max(1, len(a) + len(b) - both)
