"""Several annotators a row: what they agree on, how sure that is, and who is to be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sparring.errors import DataError
from sparring.metrics import kappa

from ..selection.base import check_probabilities

SUM = 1e-3  # how far a row of probabilities may be from 1


@dataclass(frozen=True, slots=True)
class Annotations:
    """Of n rows and a annotators. `consensus` (n,) int, -1 where nobody labelled; `quality` (n,) in [0, 1], how sure the
    consensus is, NaN where there is none; `agreement` (n,) the share of a row's annotators who gave it; `count` (n,) of them.

    `once_more` (n,) in [0, 1]: how much one more label would say, higher is more, NaN where nobody labelled.
    `label_quality` (n, a), NaN where an annotator gave no label; `annotator_quality` (a,), NaN for one who labelled nothing;
    `shared` (a, a) rows that two both labelled and their `kappa` (a, a), NaN below two rows or where chance alone would agree;
    `alpha` Krippendorff's over all, NaN where no row has two labels. `method` says how the consensus was made.
    """

    consensus: np.ndarray
    quality: np.ndarray
    agreement: np.ndarray
    count: np.ndarray
    once_more: np.ndarray
    label_quality: np.ndarray
    annotator_quality: np.ndarray
    shared: np.ndarray
    kappa: np.ndarray
    alpha: float
    method: str


def consensus(labels: np.ndarray, probabilities: np.ndarray | None = None) -> Annotations:
    """Of (n, a) int labels, -1 for none.

    With out-of-fold `probabilities` (n, k) by CROWDLAB (Goh et al. 2022, https://arxiv.org/abs/2210.06812, by cleanlab), which
    weighs the annotators and the model by how often each is right; without, or where no row has two labels, by vote, an
    annotator's weight being the agreement with the others. Rows to ask about once more are ranked as ActiveLab does (Goh and
    Mueller 2023, https://arxiv.org/abs/2301.11856): little is learned where many who are to be trusted agree.

    Raises `DataError` for labels that are no whole numbers, are below -1 or have no column of probabilities; for probabilities
    of another shape, NaN, outside [0, 1], or whose rows do not sum to 1.
    """
    given = _checked(labels, probabilities)
    said = given >= 0
    rows, who = np.flatnonzero(said.any(1)), np.flatnonzero(said.any(0))
    shared = said.astype(np.int64).T @ said.astype(np.int64)
    several = bool((said.sum(1) > 1).any())
    if probabilities is not None and several:
        found = _crowdlab(given[np.ix_(rows, who)], np.asarray(probabilities, np.float64)[rows])
        method = "crowdlab"
    else:
        found = _vote(given[np.ix_(rows, who)])
        method = "vote" if several else "the only label"
    n, a = given.shape
    out = Annotations(
        np.full(n, -1), np.full(n, np.nan), np.full(n, np.nan), said.sum(1), np.full(n, np.nan), np.full((n, a), np.nan),
        np.full(a, np.nan), shared, _kappas(given, shared), alpha(given), method,
    )  # fmt: skip
    out.consensus[rows], out.quality[rows], out.annotator_quality[who] = found.consensus, found.quality, found.trust
    out.agreement[rows] = ((given == out.consensus[:, None]) & said)[rows].sum(1) / said[rows].sum(1)
    out.label_quality[np.ix_(rows, who)] = np.where(said[np.ix_(rows, who)], found.own, np.nan)
    kinds = int(given.max(initial=1)) + 1 if probabilities is None else np.shape(probabilities)[1]
    out.once_more[rows] = _once_more(found, said[np.ix_(rows, who)], kinds)
    return out


def _once_more(found: _Found, said: np.ndarray, labels: int) -> np.ndarray:
    """(n,): 1 less the quality that a consensus has after one more label, of an average annotator, that is a mere guess."""
    known, one = said @ found.weight + found.model_weight, found.weight.mean() if len(found.weight) else 0.0
    return np.asarray(1 - (found.quality * known + one / labels) / np.maximum(known + one, 1e-12))


def alpha(labels: np.ndarray) -> float:
    """Krippendorff's alpha for nominal labels (2011), (n, a) int with -1 for none; NaN where no row has two, or all say one."""
    k = int(labels.max(initial=-1)) + 1
    votes = np.stack([(labels == label).sum(1) for label in range(k)], axis=1) if k else np.zeros((len(labels), 0))
    votes = votes[votes.sum(1) > 1].astype(np.float64)
    if not len(votes):
        return float("nan")
    size, total = votes.sum(1), votes.sum(0)
    n = size.sum()
    observed = ((size**2 - (votes**2).sum(1)) / (size - 1)).sum()
    expected = (n**2 - (total**2).sum()) / (n - 1)
    return float(1 - observed / expected) if expected > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class _Found:
    """Of rows and annotators with labels: `consensus` and its `quality` (n,), that of each label, `own` (n, a), and of each
    annotator, `trust` (a,); how much an annotator's word weighs (a,), and the model's."""

    consensus: np.ndarray
    quality: np.ndarray
    own: np.ndarray
    trust: np.ndarray
    weight: np.ndarray
    model_weight: float = 0.0


def _crowdlab(given: np.ndarray, p: np.ndarray) -> _Found:
    from cleanlab.multiannotator import get_label_quality_multiannotator

    said: dict[str, Any] = get_label_quality_multiannotator(
        np.where(given >= 0, given, np.nan), p, return_weights=True, verbose=False
    )
    rows, own = said["label_quality"], said["detailed_label_quality"].to_numpy(np.float64)
    trust = said["annotator_stats"]["annotator_quality"].sort_index().to_numpy(np.float64)
    quality = np.clip(rows["consensus_quality_score"].to_numpy(np.float64), 0, 1)
    weight = np.asarray(said["annotator_weight"], np.float64)
    final = rows["consensus_label"].to_numpy(np.int64)
    return _Found(final, quality, np.clip(own, 0, 1), np.clip(trust, 0, 1), weight, float(said["model_weight"]))


def _vote(given: np.ndarray) -> _Found:
    """The heaviest label, the lowest number of equals; a label's quality is its share of the row's weight."""
    said = given >= 0
    k = int(given.max(initial=0)) + 1
    both = said.astype(np.int64).T @ said.astype(np.int64)
    same = sum(
        ((given == label).astype(np.int64).T @ (given == label).astype(np.int64) for label in range(k)), np.zeros_like(both)
    )
    np.fill_diagonal(same, 0)
    np.fill_diagonal(both, 0)
    weight = (same.sum(1) + 1) / (both.sum(1) + 2)  # an annotator without company counts half
    mass = np.stack([((given == label) * weight).sum(1) for label in range(k)], axis=1)
    share = mass / np.maximum(mass.sum(1, keepdims=True), 1e-12)
    final = share.argmax(1)
    own = np.take_along_axis(share, np.where(said, given, 0), axis=1)
    quality = share[np.arange(len(share)), final]
    alone = said.sum(1) == 1  # nobody has confirmed it: its annotator's record is all there is
    quality = np.where(alone, (said * weight).sum(1), quality)
    return _Found(final.astype(np.int64), quality, np.where(alone[:, None], weight, own), weight, weight)


def _kappas(given: np.ndarray, shared: np.ndarray) -> np.ndarray:
    out = np.full(shared.shape, np.nan)
    for i in range(len(shared)):
        for j in range(i):
            both = (given[:, i] >= 0) & (given[:, j] >= 0)
            value = kappa(given[both, i], given[both, j]) if shared[i, j] > 1 else None
            out[i, j] = out[j, i] = np.nan if value is None else value
    return out


def _checked(labels: np.ndarray, probabilities: np.ndarray | None) -> np.ndarray:
    given = np.asarray(labels)
    if given.ndim != 2:
        raise DataError(f"expected labels of shape (rows, annotators), got {given.shape}. Fix: a column for each annotator")
    if not np.issubdtype(given.dtype, np.integer):
        raise DataError(
            f"expected whole numbers, -1 where an annotator gave no label; got {given.dtype}. Fix: -1 instead of NaN"
        )
    if given.size and given.min() < -1:
        raise DataError(f"expected labels from 0, or -1 for none; got {given.min()}")
    if probabilities is not None:
        p = np.asarray(probabilities)
        check_probabilities(p, len(given))
        if given.size and given.max() >= p.shape[1]:
            raise DataError(f"expected labels below {p.shape[1]}, the number of probabilities; got {given.max()}")
        off = np.abs(p.sum(1) - 1) > SUM
        if off.any():
            raise DataError(f"expected probabilities that sum to 1, got {p.sum(1)[off][0]:.3g} in row {np.flatnonzero(off)[0]}")
    return given.astype(np.int64)
