"""One verdict a row, and what to do about it: a wrong label, a hard row and a new kind of row look alike to a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparring.arrays import adjacency
from sparring.errors import DataError, UserError

from . import views
from .issues import LabelIssues

VERDICTS = ("ok", "mislabelled", "hard", "novel", "ambiguous", "duplicate")
ACTIONS = {
    "ok": "keep", "mislabelled": "relabel", "hard": "upweight", "novel": "annotate", "ambiguous": "escalate",
    "duplicate": "drop",
}  # fmt: skip
NEIGHBOURS = 10  # that a row is shown with and that vote
CLOSEST = 5  # rows of a label that tell how near it is
FAR = 20  # a kind with fewer rows than this in all the data is novel
KIN, OF_KIN = 8, 2  # a new kind has this many of its own among a row's so many nearest
REJECTS = 0.5  # of the views must prefer another label, and more, before it is called wrong
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
Reason = tuple[str, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """Where verdicts begin; `docs/design/verdicts.md` tells what each costs.

    `typical`: a wrong label's row lies nearer to another label than this share of that label's own rows. `sure`: a row is
    hard when the views' mean gives its label less. `far`: a row is novel when it lies this many times as far
    above the median as one row in twenty does. `even`: a row is ambiguous when both of its labels lie this near to one another
    in views and neighbours alike.
    """

    typical: float = 0.1
    sure: float = 0.6
    far: float = 1.3
    even: float = 0.02


@dataclass(frozen=True, slots=True)
class Verdicts:
    """`verdict` (n,) numbers into VERDICTS; `suggested` (n,) int, the likeliest other label, -1 where no view knows; `strength`
    (n,) float32 in [0, 1]: how far beyond its limit; `neighbours` (n, 10) int, nearest first, none of the row's own group, -1
    where there are fewer; `reasons` by row, strongest first, () for most: a name and a strength in [0, 1]."""

    verdict: np.ndarray
    suggested: np.ndarray
    strength: np.ndarray
    neighbours: np.ndarray
    reasons: tuple[tuple[Reason, ...], ...]

    @property
    def names(self) -> np.ndarray:
        return np.array(VERDICTS)[self.verdict]

    @property
    def actions(self) -> np.ndarray:
        return np.array([ACTIONS[name] for name in VERDICTS])[self.verdict]


def judge(
    probabilities: np.ndarray, labels: np.ndarray, vectors: np.ndarray, groups: np.ndarray, *, pairs: Pairs | None = None,
    found: LabelIssues | None = None, protected: np.ndarray | None = None, names: Sequence[str] = (),
    neighbours: tuple[np.ndarray, np.ndarray] | None = None, limits: Limits | None = None,
) -> Verdicts:  # fmt: skip
    """A verdict for each row.

    `probabilities` (v, n, k) are views, out of fold, NaN where one abstains; `labels` (n,), -1 for none; `vectors` (n, d) unit.

    `found` are the label issues of these rows (`issues.find`), and `probabilities` best its views, which learned from corrected
    labels; without it, a label is suspect when the views' mean and more than half of the views reject it. A suspect row is
    mislabelled where it is typical of another label, else hard.

    `pairs` are verified near duplicates: rows i, rows j, cosines. A row is a duplicate only of a row that stays and has the
    same label (or any, if it has none itself), never of a row's duplicate; `protected` (n,) bool never goes, nor does a row of
    another verdict than ok or hard. `names` (v,) go into the reasons. `neighbours`, if the caller has searched: cosine and row,
    each (n, m), best first, -1 where there are fewer; else exact search.
    No chance is in it: rows sorted by id get the same verdicts whatever order they came in.

    Typicality: how much nearer a row lies to another label is compared with what that label's own rows show, as a row of that
    label put under a wrong one would show it too (after the class thresholds of confident learning,
    https://arxiv.org/abs/1911.00068). Novelty: see `_strangeness`.
    Raises `DataError` for shapes that do not agree and for what is no probability.
    """
    limits = limits or Limits()
    p, y, x, group = (np.asarray(a) for a in (probabilities, labels, vectors, groups))
    _check(p, y, x, group, names)
    if found is not None and len(found.score) != len(y):
        raise DataError(f"expected label issues of the same {len(y)} rows, got {len(found.score)}")
    n, given = len(y), y >= 0
    if not n:
        nothing = np.zeros(0, np.int64)
        return Verdicts(nothing, nothing, np.zeros(0, np.float32), np.zeros((0, NEIGHBOURS), np.int64), ())
    cosine, row = _strangers(x, group, neighbours, FAR)
    near = row[:, :NEIGHBOURS]
    strange = _strangeness(1 - cosine[:, :FAR], row[:, :FAR])
    mean, me = _mean(p), np.arange(n)
    votes = _votes(row, y, p.shape[2])
    support = np.where(np.isnan(mean), votes, mean)
    margin, suggested = _leads(support, y)
    suspect = given & (margin < 0) & (_objections(p, y) > REJECTS)
    accused = np.where(given, 1 - support[me, y], 0)
    if found is not None:
        suspect, accused = given & found.flagged, found.score
        suggested = np.where(suspect, found.suggested, suggested)
    trusted = np.where(suspect, -1, y)  # suspect rows have no vote
    votes = _votes(row, trusted, p.shape[2])
    typical = _typicality(_closeness(x, group, trusted, p.shape[2], neighbours), y, trusted, suggested)
    wrong = suspect & (typical >= limits.typical)

    verdict, strength = np.zeros(n, np.int64), np.zeros(n, np.float32)

    def call(name: str, rows: np.ndarray, how: np.ndarray) -> None:
        rows = rows & (verdict == 0)
        verdict[rows], strength[rows] = VERDICTS.index(name), np.clip(how[rows], 0, 1)

    call("novel", strange > limits.far, strange / (2 * limits.far))
    call("mislabelled", wrong, accused)
    conflict = np.zeros(n)
    i, j, c = _pairs(pairs, n)
    clash = given[i] & given[j] & (y[i] != y[j]) & (verdict[i] != 1) & (verdict[j] != 1)
    np.maximum.at(conflict, np.r_[i[clash], j[clash]], np.r_[c[clash], c[clash]])
    call("ambiguous", conflict > 0, conflict)
    split = np.full(n, np.inf)
    split[given] = np.maximum(np.abs(mean[me, y] - mean[me, suggested]), np.abs(votes[me, y] - votes[me, suggested]))[given]
    call("ambiguous", given & (split < limits.even), 1 - split)
    own = support[me, y]  # not its lead over the next: among five labels a row of 0.5 leads them all, and is hard
    call("hard", given & (suspect | (own < limits.sure)), 1 - own / limits.sure)
    twin = _duplicates(i, j, c, y, verdict, np.zeros(n, bool) if protected is None else np.asarray(protected, bool))
    rows = twin > 0
    verdict[rows], strength[rows] = VERDICTS.index("duplicate"), twin[rows]
    parts = {"far_from_all": strange / (2 * limits.far), "labels_conflict": conflict, "near_duplicate": twin,
             "neighbours_object": np.where(given, 1 - votes[me, y], 0), "atypical": 1 - typical}  # fmt: skip
    reasons = tuple(_reasons(r, verdict, p, y, names, parts) for r in range(n))
    return Verdicts(verdict, np.where(np.isnan(mean).all(1), -1, suggested), strength, near, reasons)


def _check(p: np.ndarray, y: np.ndarray, x: np.ndarray, group: np.ndarray, names: Sequence[str]) -> None:
    if p.ndim != 3 or x.ndim != 2 or not (p.shape[1] == len(y) == len(x) == len(group)):
        shapes = f"{p.shape}, {y.shape}, {x.shape}, {group.shape}"
        raise DataError(f"expected views (v, n, k), labels (n,), vectors (n, d) and groups (n,) of the same n; got {shapes}")
    if names and len(names) != len(p):
        raise UserError(f"expected a name for each of {len(p)} views, got {len(names)}")
    views.expect(p, y, x)


def _strangers(
    x: np.ndarray, group: np.ndarray, found: tuple[np.ndarray, np.ndarray] | None, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """(cosine, row), (n, most): a row's nearest of other groups, for near duplicates would vouch for one another."""
    if found is None:
        from sparring.index import Index

        found = Index(x).nearest(x, min(len(x), 4 * most))
    cosine, row = np.asarray(found[0], np.float64), np.asarray(found[1], np.int64)
    mine = (row < 0) | (group[row] == group[:, None])
    order = np.argsort(mine, axis=1, kind="stable")[:, :most]
    absent = np.take_along_axis(mine, order, 1)
    row = np.where(absent, -1, np.take_along_axis(row, order, 1))
    cosine = np.where(absent, np.nan, np.take_along_axis(cosine, order, 1))
    pad = most - row.shape[1]
    if pad > 0:
        row, cosine = (
            np.pad(row, ((0, 0), (0, pad)), constant_values=-1),
            np.pad(cosine, ((0, 0), (0, pad)), constant_values=np.nan),
        )
    return cosine, row


def _mean(p: np.ndarray) -> np.ndarray:
    """(n, k) over the views that do not abstain; NaN where all do."""
    there = ~np.isnan(p)
    count = there.sum(0)
    return np.where(count > 0, np.where(there, p, 0).sum(0, dtype=np.float64) / np.maximum(count, 1), np.nan)


def _votes(near: np.ndarray, y: np.ndarray, k: int) -> np.ndarray:
    """(n, k): shares of labels among the neighbours that have one; even where none has."""
    label = np.where(near >= 0, y[near], -1)
    count = np.stack([(label == c).sum(1) for c in range(k)], 1)
    total = count.sum(1, keepdims=True)
    return np.where(total > 0, count / np.maximum(total, 1), 1 / k)


def _objections(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n,): the share of the views that answer which prefer another label."""
    there = ~np.isnan(p).all(2)
    objects = there & (np.where(np.isnan(p), -1, p).argmax(2) != y)
    return objects.sum(0) / np.maximum(there.sum(0), 1)


def _strangeness(distance: np.ndarray, row: np.ndarray) -> np.ndarray:
    """(n,): how far above the median, the 95th percentile being 1; 0 for the median and below, and where neighbours lack.

    The distance of the 20th neighbour (Ramaswamy et al. 2000, https://doi.org/10.1145/342009.335437), times the cube root of
    its ratio to the neighbours' own (after the local outlier factor, Breunig et al. 2000, https://doi.org/10.1145/335191.335388):
    sparse regions are forgiven a little. Then the geometric mean with the two strangest of the eight nearest: a new kind has
    rows of its own about it, a stray has not.
    """
    far = distance[:, -1]
    known, there = np.isfinite(far), row >= 0
    if not known.any():
        return np.zeros(len(far))
    own = np.where(known, np.maximum(far, 1e-6), np.median(far[known]))
    score = own * np.cbrt(own / np.median(np.where(there, own[row], own[:, None]), axis=1))
    kin = np.sort(np.where(there, score[row], 0)[:, :KIN], axis=1)[:, -OF_KIN:].mean(1)
    score = np.sqrt(score * kin)
    middle, high = np.quantile(score[known], (0.5, 0.95))
    return np.where(known, np.clip((score - middle) / max(high - middle, 1e-3), 0, None), 0.0)


def _leads(value: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a row's label has over the strongest other one of (n, k) values, and which that is, (n,) each; an unlabelled row has
    no lead, and its rival is the highest."""
    me, others = np.arange(len(y)), value.copy()
    others[me[y >= 0], y[y >= 0]] = -np.inf
    rival = others.argmax(1)
    return np.where(y >= 0, value[me, y] - others[me, rival], 0.0), rival


def _closeness(
    x: np.ndarray, group: np.ndarray, y: np.ndarray, k: int, found: tuple[np.ndarray, np.ndarray] | None
) -> np.ndarray:
    """(n, k): mean cosine of the CLOSEST rows of each label, of other groups; among the neighbours found, if they are given."""
    out = np.full((len(y), k), -1.0)
    for label in range(k):
        rows = np.flatnonzero(y == label)
        if found is not None:
            cosine, row = np.asarray(found[0], np.float64), np.asarray(found[1])
            cosine = np.where((row >= 0) & (y[row] == label) & (group[row] != group[:, None]), cosine, -2)
            best = -np.sort(-cosine, axis=1)[:, :CLOSEST]
        elif len(rows):
            from sparring.index import Index

            cosine, column = Index(x[rows]).nearest(x, min(len(rows), 4 * CLOSEST))
            cosine = np.where(group[rows[column]] == group[:, None], -2, cosine)
            best = -np.sort(-cosine.astype(np.float64), axis=1)[:, :CLOSEST]
        else:
            continue
        there = best > -2
        mean = np.where(there, best, 0).sum(1) / np.maximum(there.sum(1), 1)
        out[:, label] = np.where(there.any(1), mean, -1)
    return out


def _typicality(close: np.ndarray, y: np.ndarray, trusted: np.ndarray, rival: np.ndarray) -> np.ndarray:
    """(n,): of the rival's own rows, the share that lie no nearer to it, all other labels considered, than this row does with
    its label as the only other."""
    me, lead = np.arange(len(y)), _leads(close, trusted)[0]
    nearer, out = close[me, rival] - close[me, y], np.zeros(len(y))
    for label in np.unique(rival):
        own, rows = np.sort(lead[trusted == label]), (rival == label) & (y >= 0)
        if len(own):
            out[rows] = np.searchsorted(own, nearer[rows], side="right") / len(own)
    return out


def _pairs(pairs: Pairs | None, n: int) -> Pairs:
    if pairs is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    i, j, c = (np.asarray(a) for a in pairs)
    if not len(i) == len(j) == len(c) or (len(i) and (min(i.min(), j.min()) < 0 or max(i.max(), j.max()) >= n)):
        raise DataError(f"expected pairs as rows, rows and cosines of one length, rows from 0 to {n - 1}")
    keep = i != j
    return i[keep].astype(np.int64), j[keep].astype(np.int64), c[keep].astype(np.float64)


def _duplicates(
    i: np.ndarray, j: np.ndarray, c: np.ndarray, y: np.ndarray, verdict: np.ndarray, protected: np.ndarray
) -> np.ndarray:
    """(n,) float32: the cosine to the row that stays in its place, 0 for a row that stays. Rows that cannot go stay first,
    then rows in order."""
    out = np.zeros(len(y), np.float32)
    fixed = protected | ~np.isin(verdict, (VERDICTS.index("ok"), VERDICTS.index("hard")))
    same = (y[i] == y[j]) | (y[i] < 0) | (y[j] < 0)
    start, partner, pair = adjacency(i[same], j[same], len(y))
    cosine, stays = c[same][pair], np.zeros(len(y), bool)
    for a in np.lexsort((y < 0, ~fixed)).tolist():
        near = slice(start[a], start[a + 1])
        held = cosine[near][stays[partner[near]] & ((y[partner[near]] == y[a]) | (y[a] < 0))]
        if len(held) and not fixed[a]:
            out[a] = min(1.0, held.max())
        else:
            stays[a] = True
    return out


_WHY = {
    "mislabelled": ("neighbours_object",), "hard": ("neighbours_object", "atypical"), "novel": ("far_from_all",),
    "ambiguous": ("labels_conflict", "neighbours_object"), "duplicate": ("near_duplicate",),
}  # fmt: skip


def _reasons(
    r: int, verdict: np.ndarray, p: np.ndarray, y: np.ndarray, names: Sequence[str], parts: dict[str, np.ndarray]
) -> tuple[Reason, ...]:
    name = VERDICTS[verdict[r]]
    if name == "ok":
        return ()
    found = [(part, float(np.clip(parts[part][r], 0, 1))) for part in _WHY[name]]
    if y[r] >= 0 and name not in ("duplicate",):
        for v in range(len(p)):
            if not np.isnan(p[v, r]).all() and p[v, r].argmax() != y[r]:
                found.append((f"view:{names[v] if names else v}", float(1 - p[v, r, y[r]])))
    return tuple(sorted(((part, round(how, 4)) for part, how in found if how > 0), key=lambda f: (-f[1], f[0])))
