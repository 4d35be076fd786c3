"""From a classifier's own classes to the policy's labels: which class counts as which label, and at which threshold.

Two kinds of scores are told apart by the map. Where a class stands for `benign`, scores are shares of one whole, and each
label's probability is the sum over its classes. Where none does, each score stands for itself, as moderation services
give them: a label's score is the highest of its classes, and P(benign) is 1 - the highest of all labels.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import JobError, TargetFailed
from ..record import BENIGN

COMMON = 0.5  # where every class's own threshold lands; a power of two, so that 1 - (1 - score) is exact in float32


@dataclass(frozen=True, slots=True)
class Scores:
    """`values[i, j]` in [0, 1] is class j's score of text i. A row of NaN: that text failed, after all retries."""

    classes: tuple[str, ...]
    values: np.ndarray


def to_policy(
    found: Scores, names: tuple[str, ...], *, labels: Mapping[str, str] | None, thresholds: Mapping[str, float],
    default: float, who: str,
) -> np.ndarray:  # fmt: skip
    """(n, k) float32 over the policy's labels `names`, benign first. `labels` maps classes to them.

    With `thresholds` (by class; `default` for the others) every score is first rescaled, so that a text violates exactly
    when some class's score is above that class's own threshold: 1 - P(benign) > 0.5. Raises `JobError` for a map that
    does not fit the classes, `TargetFailed` for scores outside [0, 1].
    """
    mapping = dict(labels) if labels is not None else guessed(found.classes, names, who)
    check_classes(mapping, thresholds, found.classes, who)
    check_labels(mapping, names, who)
    _check_whole(mapping, found.classes, who)
    values = _checked(found, mapping, who)
    whole = BENIGN in mapping.values() and not thresholds
    if thresholds:
        values = rescaled(values, np.array([thresholds.get(c, default) for c in mapping]))
    out = np.zeros((len(values), len(names)))
    for k, name in enumerate(names):
        part = values[:, [j for j, label in enumerate(mapping.values()) if label == name]]
        if part.shape[1]:
            out[:, k] = part.sum(1) if whole else part.max(1)
    if not whole:
        out[:, 0] = 1 - out[:, 1:].max(1)
    out[np.isnan(values).any(1)] = np.nan
    return np.clip(out, 0, 1).astype(np.float32)


def rescaled(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(n, c): each column bent at its own threshold, which lands at 0.5; 0 stays 0, 1 stays 1, the order stays.

    A score above its threshold ends above 0.5, even in float32; one that is not ends at 0.5 or below.
    """
    t = thresholds.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.where(t > 0, COMMON * values / t, COMMON)
        above = COMMON + (1 - COMMON) * (values - t) / (1 - t)
    just_above = np.nextafter(np.float32(COMMON), np.float32(1))
    return np.where(values > t, np.clip(above, just_above, 1), np.minimum(below, COMMON))


def guessed(classes: tuple[str, ...], names: tuple[str, ...], who: str) -> dict[str, str]:
    """The map where the job gives none: classes that are called like labels; one lone score for a policy's one category."""
    if len(classes) == 1 and len(names) == 2 and classes[0] != BENIGN:
        return {classes[0]: names[1]}
    unknown = [c for c in classes if c not in names]
    if unknown:
        raise JobError(
            f"{who}: expected classes called {', '.join(names)}; the classifier's are {', '.join(classes)}. "
            f"Fix: write, with the right names,\n{_suggestion(classes, names)}"
        )
    return {c: c for c in classes}


def _checked(found: Scores, mapping: Mapping[str, str], who: str) -> np.ndarray:
    """(n, len(mapping)) scores of the classes that the map names, in its order."""
    if found.values.ndim != 2 or found.values.shape[1] != len(found.classes):
        raise TargetFailed(f"{who}: expected scores of shape (n, {len(found.classes)}), got {found.values.shape}")
    values = found.values[:, [found.classes.index(c) for c in mapping]].astype(np.float64)
    kept = values[~np.isnan(values).any(1)]
    if kept.size and not (kept.min() >= -1e-6 and kept.max() <= 1 + 1e-6):
        raise TargetFailed(f"{who}: expected scores in [0, 1], got {kept.min():.3g} to {kept.max():.3g}")
    return values


def check_classes(mapping: Mapping[str, str], thresholds: Mapping[str, float], classes: tuple[str, ...], who: str) -> None:
    """Raises `JobError` where a setting names a class that the classifier does not have."""
    for setting, keys in (("labels", mapping), ("thresholds", thresholds)):
        for key in keys:
            if key not in classes:
                near = difflib.get_close_matches(key, classes, 1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise JobError(f"{who}: `{setting}` names the class {key!r}; the classifier's are {', '.join(classes)}.{hint}")


def _check_whole(mapping: Mapping[str, str], classes: tuple[str, ...], who: str) -> None:
    left = [c for c in classes if c not in mapping]
    if left and BENIGN in mapping.values():
        raise JobError(
            f"{who}: expected every class in `labels` where one of them is {BENIGN}; {', '.join(left)} "
            f"{'is' if len(left) == 1 else 'are'} missing. Fix: add them, or leave the {BENIGN} class out: then a text is "
            "benign as far as no class that `labels` names finds otherwise"
        )


def check_labels(mapping: Mapping[str, str], names: tuple[str, ...], who: str) -> None:
    """Raises `JobError` where a map leads to no label of the policy, or to no category."""
    for label in mapping.values():
        if label not in names:
            raise JobError(f"{who}: `labels` maps to {label!r}; expected one of {', '.join(names)}")
    if not set(mapping.values()) - {BENIGN}:
        raise JobError(f"{who}: expected a class in `labels` for one of {', '.join(names[1:])}, found none")


def _suggestion(classes: tuple[str, ...], names: tuple[str, ...]) -> str:
    guesses = [BENIGN, *([names[1]] * len(classes))]
    return "  labels:\n" + "\n".join(f"    {c!r}: {g}" for c, g in zip(classes, guesses, strict=False))
