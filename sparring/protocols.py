"""The only interfaces that cross stages. Shapes: n samples, k labels, d dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .errors import TargetFailed


class Target(Protocol):
    """A classifier. `labels[0]` is benign; it decides `benign` while 1 - P(benign) <= `threshold`."""

    labels: tuple[str, ...]
    threshold: float

    def predict_proba(self, samples: Sequence[Any]) -> np.ndarray:
        """(n, k) float32, rows in order, each in [0, 1]; called with as large a batch as the caller has."""
        ...


class WhiteBox(Target, Protocol):
    """A target that gives gradients; its class says so by the flag `gradients`."""

    def swap_gains(
        self, samples: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]], words: Sequence[str]
    ) -> list[np.ndarray]:
        """For each sample (t, n) float32: the log-odds of violating that it would lose, to first order, were each of its t
        spans alone replaced by each of n words; -inf where nothing can be said. Counts as one query a sample, and does not
        depend on the other samples."""
        ...


class Embedder(Protocol):
    name: str
    dim: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(n, d) float32, unit length."""
        ...


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer of a `TextModel`; `tokens` counts what was generated, `prompt_tokens` what was read, where that is known."""

    text: str
    tokens: int
    prompt_tokens: int = 0


class TextModel(Protocol):
    """Writes text. `describe` gives what a record needs to make the text again: name, model, revision, licence.

    An answer depends on its prompt and `seed` alone. One that can hold a model to a JSON schema has a true attribute `guided`;
    its `complete` takes `schema` as well. One that takes prompts as it has room and tells answers as they come has `stream`.
    """

    def describe(self) -> dict[str, Any]: ...

    def complete(self, prompts: Sequence[tuple[str, str]], *, seed: int) -> list[Completion]:
        """One answer for each (system, user) prompt, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of one sample: does its label still stand, how surely, and if not, why."""

    valid: bool
    score: float  # [0, 1], higher is surer that the sample violates
    reason: str = ""


class Judge(Protocol):
    """`names` are the reasons it can give. Asked with the seed that a sample came from; "" where there is none."""

    def assess(self, seeds: Sequence[str], samples: Sequence[str], labels: Sequence[str]) -> list[Verdict]: ...


def probabilities(target: Target, samples: Sequence[Any], *, failed_ok: bool = False) -> np.ndarray:
    """(n, k) as the target gives them. Raises `TargetFailed` on NaN, a wrong shape or values outside [0, 1].

    A row of NaN says that the target failed on this row after its own retries: `failed_ok` lets it pass, and only a call of
    which more than half failed raises.
    """
    if not len(samples):
        return np.zeros((0, len(target.labels)), np.float32)
    p = np.asarray(target.predict_proba(samples))
    expected = (len(samples), len(target.labels))
    if p.shape != expected:
        raise TargetFailed(f"expected probabilities of shape {expected}, the target gave {p.shape}")
    failed = np.isnan(p).all(1)
    bad = ~np.isfinite(p).all(1) & ~(failed if failed_ok and 2 * failed.sum() <= max(len(p), 2) else False)
    if bad.any():
        raise TargetFailed(f"expected probabilities, the target gave NaN or infinity in {bad.sum()} of {len(p)} rows")
    sound = p[~failed]
    if len(sound) and (sound.min() < -1e-6 or sound.max() > 1 + 1e-6):
        raise TargetFailed(f"expected probabilities in [0, 1], the target gave {sound.min():.3g} to {sound.max():.3g}")
    return p


def violation_scores(target: Target, samples: Sequence[Any], *, failed_ok: bool = False) -> np.ndarray:
    """(n,) float32: 1 - P(benign), of `probabilities`; NaN for a row that failed."""
    return violation(probabilities(target, samples, failed_ok=failed_ok))


def violation(p: np.ndarray) -> np.ndarray:
    """(n,) float32: 1 - P(benign), of (n, k) probabilities."""
    return (1 - p[:, 0]).astype(np.float32)


def decided(p: np.ndarray, threshold: float) -> np.ndarray:
    """(n,) number of the label that a target of this threshold decides, for its (n, k) probabilities; 0 is benign."""
    return np.where(violation(p) > threshold, 1 + p[:, 1:].argmax(1), 0)
