"""The verdict of a language model or guard as a view, on the rows that cheap views dispute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparring.errors import DataError
from sparring.protocols import Target, probabilities

from .views import Views

SURE = 0.7  # of its likeliest label, calibrated; below, the view abstains
LEAST = 5  # calibration rows of a label
FLOOR = 1e-4


@dataclass(frozen=True, slots=True)
class VerdictView:
    """`probabilities` (n, k) float32 for `Views.joined`, NaN where it was not asked or abstains; `asked` are the disputed rows
    that it was shown, `calibrated_on` the undisputed ones; `note` says why it is silent altogether, "" where it is not."""

    probabilities: np.ndarray
    asked: np.ndarray
    calibrated_on: np.ndarray
    note: str = ""


def disputed(views: Views, labels: np.ndarray) -> np.ndarray:
    """(n,) float: the mean over views of the likeliest other label's probability less the given one's, -1 to 1; -inf for an
    unlabelled row. A row is in dispute when some view finds another label likelier."""
    p, y = views.probabilities, np.asarray(labels)
    own = views.mean[np.arange(len(y)), y]
    rest = views.mean.copy()
    rest[np.arange(len(y)), y] = -1
    out = np.where(y >= 0, rest.max(1, initial=-1) - own, -np.inf)
    against = (np.nan_to_num(p).argmax(2) != y) & ~np.isnan(p[:, :, 0])
    return np.where(against.any(0) & (y >= 0), np.maximum(out, -1), -np.inf)


def ask(
    target: Target, texts: Sequence[str], labels: np.ndarray, views: Views, *, seed: int, budget: int = 200,
    calibration: int = 100, sure: float = SURE,
) -> VerdictView:  # fmt: skip
    """Shows `target` (an `llm_guard`, say) the `budget` most disputed rows and `calibration` undisputed ones, as many of each
    label as there are.

    Its log-odds are scaled to the labels of the undisputed rows (Platt 1999, on balanced classes); it abstains where the
    likeliest label then stays below `sure`. It is silent altogether where a label has under 5 undisputed rows, or where on them
    it is right less often than somebody who always names one label, halfway to perfect. Raises `DataError` where its labels
    are not as many as the views'.
    """
    y, k = np.asarray(labels), views.probabilities.shape[2]
    if len(texts) != len(y) or len(y) != views.probabilities.shape[1]:
        raise DataError(
            f"expected a text and a label for each of {views.probabilities.shape[1]} rows; got {len(texts)}, {len(y)}"
        )
    if len(target.labels) != k:
        raise DataError(f"expected a target of the {k} labels of the views; got {', '.join(target.labels)}")
    out, none = np.full((len(y), k), np.nan, np.float32), np.zeros(0, np.int64)
    dispute = disputed(views, y)
    rows = np.flatnonzero(dispute > -np.inf)
    rows = np.sort(rows[np.argsort(-dispute[rows], kind="stable")][:budget])
    known = _undisputed(views, y, dispute, calibration, seed)
    count = np.bincount(y[known], minlength=k)
    if not len(rows):
        return VerdictView(out, none, none, "no row is in dispute")
    if (count < LEAST).any():
        return VerdictView(out, none, none, f"label {int(count.argmin())} has {count.min()} undisputed rows, of {LEAST} needed")
    p = probabilities(target, [texts[i] for i in [*known, *rows]], failed_ok=True)
    before, said = p[: len(known)], p[len(known) :]
    heard = ~np.isnan(before).any(1)
    right = np.mean([(before[heard & (y[known] == c)].argmax(1) == c).mean() for c in np.unique(y[known][heard])])
    if right < (1 + 1 / k) / 2:
        return VerdictView(out, rows, known, f"it is right on {right:.0%} of undisputed rows, labels weighed alike")
    from sklearn.linear_model import LogisticRegression

    scale = LogisticRegression(class_weight="balanced", max_iter=1000).fit(_logs(before[heard]), y[known][heard])
    spoke = ~np.isnan(said).any(1)
    calibrated = np.zeros((int(spoke.sum()), k), np.float32)
    if spoke.any():
        calibrated[:, scale.classes_] = scale.predict_proba(_logs(said[spoke]))
    calibrated[calibrated.max(1, initial=0) < sure] = np.nan
    out[rows[spoke]] = calibrated
    return VerdictView(out, rows, known)


def _undisputed(views: Views, y: np.ndarray, dispute: np.ndarray, many: int, seed: int) -> np.ndarray:
    rng, k = np.random.default_rng([seed, 3]), views.probabilities.shape[2]
    calm = np.isinf(dispute) & (y >= 0) & ~np.isnan(views.probabilities[:, :, 0]).all(0)
    picked = [rng.permutation(np.flatnonzero(calm & (y == c)))[: many // k] for c in range(k)]
    return np.sort(np.concatenate(picked)) if picked else np.zeros(0, np.int64)


def _logs(p: np.ndarray) -> np.ndarray:
    logs = np.log(np.maximum(p, FLOOR))
    return logs - logs.mean(1, keepdims=True)
