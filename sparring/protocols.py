"""The only interfaces that cross stages. Shapes: n samples, k labels, d dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .errors import RowsFailed, TargetFailed

ABSTENTIONS = ("abstained", "canary")  # reasons of a judge that is not sure enough, or not sound
PATIENCE = 20  # single rows that a target fails on, one after the other, before it is held to be down


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

    def encode(self, texts: Sequence[Any]) -> np.ndarray:
        """(n, d) float32, unit length; an embedder of images is given encoded files."""
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


class WhiteBoxImages(Target, Protocol):
    """A target of images, encoded files, that gives gradients; its class says so by the flag `gradients`."""

    def logits(self, images: Any) -> Any:
        """(n, k) differentiable torch tensor over `labels`, of (n, c, h, w) images in [0, 1] of any size, 1 or 3 channels."""
        ...


@dataclass(frozen=True, slots=True)
class Brief:
    """What one image is to be: its label's name or a prompt; from noise, or from `start`, an encoded file, with noise of
    `strength` in (0, 1] put on it (SDEdit, Meng et al. 2022)."""

    label: str
    seed: int
    prompt: str = ""
    start: bytes | None = None
    strength: float = 1.0


OUT_OF_MEMORY = "out_of_memory"  # why there is no image, where another machine may have one


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of a brief: an encoded file, and as JSON all that makes it again; without an image the `reason`, such as
    "safety_checker" or "out_of_memory"."""

    image: bytes | None
    parameters: str = "{}"
    reason: str = ""


class ImageModel(Protocol):
    """Makes images. `describe` gives what a record needs to make them again: name, model, revision, licence.

    An image depends on its brief alone, not on its batch. A diffusion pipeline has the flag `guidable`: its `draw` takes
    `wrap` as well, a function of (briefs, scheduler, decode) that gives the scheduler to use for these briefs, a batch of
    theirs; `decode` turns latents into images (n, c, h, w) in [0, 1], differentiable.

    One with the flag `trainable` has a class method `learn(images, labels, folder, *, seed, **settings)` that leaves in
    `folder` what its setting `model` loads.
    """

    def describe(self) -> dict[str, Any]: ...

    def draw(self, briefs: Sequence[Brief]) -> list[Drawn]:
        """One outcome for each brief, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of one sample: does its label still stand, how surely, and if not, why."""

    valid: bool
    score: float  # [0, 1], higher is surer that the sample violates
    reason: str = ""

    @property
    def silent(self) -> bool:
        """Whether the judge abstained: it says neither that the sample violates nor that it does not."""
        return self.reason in ABSTENTIONS


class Judge(Protocol):
    """`names` are the reasons it can give. Asked with the seed that a sample came from; "" where there is none."""

    def assess(self, seeds: Sequence[Any], samples: Sequence[Any], labels: Sequence[str]) -> list[Verdict]: ...


def probabilities(target: Target, samples: Sequence[Any], *, failed_ok: bool = False) -> np.ndarray:
    """(n, k) as the target gives them. Raises `TargetFailed` on NaN, a wrong shape, values outside [0, 1]
    and what is no number.

    A row of NaN says that the target failed on this row after its own retries. `failed_ok` lets it pass, and where the target
    raises `RowsFailed` for a call, finds the rows that it fails on by halving; that too raises when `PATIENCE` single rows
    failed one after the other.
    """
    if not len(samples):
        return np.zeros((0, len(target.labels)), np.float32)
    p = _apart(target, samples) if failed_ok else _numbers(target.predict_proba(samples))
    expected = (len(samples), len(target.labels))
    if p.shape != expected:
        raise TargetFailed(f"expected probabilities of shape {expected}, the target gave {p.shape}")
    failed = np.isnan(p).all(1)
    bad = ~np.isfinite(p).all(1) & ~(failed if failed_ok else False)
    if bad.any():
        raise TargetFailed(f"expected probabilities, the target gave NaN or infinity in {bad.sum()} of {len(p)} rows")
    sound = p[~failed]
    if len(sound) and (sound.min() < -1e-6 or sound.max() > 1 + 1e-6):
        raise TargetFailed(f"expected probabilities in [0, 1], the target gave {sound.min():.3g} to {sound.max():.3g}")
    return p


def _numbers(answer: Any) -> np.ndarray:
    """What a target answered, as an array of numbers."""
    try:
        found = np.asarray(answer)
        return found if found.dtype.kind in "fiub" else found.astype(np.float64)
    except (TypeError, ValueError):  # rows of several lengths, texts
        raise TargetFailed(
            f"expected probabilities as an array of numbers, the target gave another {type(answer).__name__}"
        ) from None


def _apart(target: Target, samples: Sequence[Any]) -> np.ndarray:
    """`predict_proba`, with a row of NaN for each of the samples that make it raise `RowsFailed`."""
    alone = 0  # single rows that failed since one did not

    def ask(some: Sequence[Any]) -> np.ndarray:
        nonlocal alone
        try:
            found = _numbers(target.predict_proba(some))
        except RowsFailed:
            if len(some) > 1:
                half = len(some) // 2
                return np.concatenate([ask(some[:half]), ask(some[half:])])
            alone += 1
            if alone >= PATIENCE:
                raise
            return np.full((1, len(target.labels)), np.nan, np.float32)
        alone = 0
        return found

    return ask(samples)


def violation_scores(target: Target, samples: Sequence[Any], *, failed_ok: bool = False) -> np.ndarray:
    """(n,) float32: 1 - P(benign), of `probabilities`; NaN for a row that failed."""
    return violation(probabilities(target, samples, failed_ok=failed_ok))


def answered(scores: np.ndarray) -> np.ndarray:
    """(n,) bool: the rows that a target did not fail on, which are those that a figure counts. Raises `TargetFailed` where it
    failed on all."""
    sound = ~np.isnan(scores)
    if len(sound) and not sound.any():
        raise TargetFailed(f"expected scores, the target failed on each of {len(sound)} rows")
    return sound


def violation(p: np.ndarray) -> np.ndarray:
    """(n,) float32: 1 - P(benign), of (n, k) probabilities."""
    return (1 - p[:, 0]).astype(np.float32)


def decided(p: np.ndarray, threshold: float) -> np.ndarray:
    """(n,) number of the label that a target of this threshold decides, for its (n, k) probabilities; 0 is benign."""
    return np.where(violation(p) > threshold, 1 + p[:, 1:].argmax(1), 0)
