"""Samples that a target misses and judges still see: a diffusion pipeline steered step by step along the target's gradient."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sparring.errors import JobError
from sparring.nets import Augment
from sparring.protocols import Brief, WhiteBoxImages

Margin = Literal["benign", "away"]


@dataclass(kw_only=True)
class Guided:
    """Gives `wrap` for `ImageModel.draw`: `model.draw(briefs, wrap=Guided(targets=[t], judges=[j]).wrap)`.

    In each step the estimate of the clean image is formed from what the net predicts (noise, v or flow), decoded, and moved
    by `strength`, root mean square per element of the latent, along the gradient of

        mean over targets of min(margin, clamp)  +  judge_weight * mean over judges of min(log P(the brief's label), log sure)

    and the scheduler goes on from there (after universal guidance, Bansal et al. 2023, and loss-guided diffusion, Song et al.
    2023; neither the net nor its memory is differentiated). A step takes `moves` gradients, each for its share of `strength`:
    small nets' gradients cost little beside the generator, and several find more than one. What all targets miss by `clamp`
    while all judges see its label by `sure` is left as it is. Several `targets` are a surrogate ensemble for one that gives no
    gradients. `margin`: "benign" is the log-odds of benign over those at the target's threshold, so that it decides benign
    above 0; "away" is the best other label's log-odds against the brief's own, for any set of classes.

    The first `skip` and the last `unguided` steps are left alone: what is written in the last ones is mostly fine noise,
    which blur takes away; without them fewer samples succeed, and those by what they show. `every` guides only each so
    manieth step, for decoders that are dear. Labels of briefs are labels of targets and judges, or JobError.
    """

    targets: Sequence[WhiteBoxImages]
    judges: Sequence[WhiteBoxImages] = ()
    strength: float = 0.1
    judge_weight: float = 1.0
    clamp: float = 3.0
    sure: float = 1.0
    moves: int = 1
    margin: Margin = "away"
    skip: int = 0
    unguided: int = 0
    every: int = 1

    def __post_init__(self) -> None:
        if not self.targets or self.strength < 0 or self.every < 1 or self.margin not in ("benign", "away"):
            raise JobError(
                "guided: expected a target, strength >= 0, every >= 1 and a margin of benign or away; got "
                f"{len(self.targets)}, {self.strength}, {self.every} and {self.margin!r}"
            )
        if self.moves < 1 or not 0 < self.sure <= 1:
            raise JobError(f"guided: expected moves >= 1 and sure in (0, 1], got {self.moves} and {self.sure}")

    def wrap(self, briefs: Sequence[Brief], scheduler: Any, decode: Callable[[Any], Any]) -> Any:
        """A copy of a diffusers scheduler whose `step` is guided; not of one that steps several times for a timestep."""
        guided, first = copy.copy(scheduler), []
        objective = self.objective([b.label for b in briefs])

        @functools.wraps(scheduler.step)  # pipelines look at its signature
        def step(prediction: Any, t: Any, sample: Any, *given: Any, **settings: Any) -> Any:
            now, last = _index(guided, t), len(guided.timesteps) - self.unguided
            first.append(now)
            if first[0] + self.skip <= now < last and not (now - first[0]) % self.every:
                a, b = estimate(guided, t)
                clean = a * sample.detach().float() + b * prediction.detach().float()
                prediction = prediction + (self._move(clean, objective, decode) / b).to(prediction.dtype)
            return type(guided).step(guided, prediction, t, sample, *given, **settings)

        guided.step = step
        return guided

    def _move(self, clean: Any, objective: Callable[[Any], Any], decode: Callable[[Any], Any]) -> Any:
        """What is added to latents of clean images, by gradients taken one after the other."""
        import torch

        moved = clean
        for _ in range(self.moves):
            with torch.enable_grad():
                leaf = moved.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(objective(decode(leaf)).sum(), leaf)
            moved = moved + self.strength / self.moves * gradient / _size(gradient)
        return moved - clean

    def objective(self, labels: Sequence[str]) -> Callable[[Any], Any]:
        """The function that is climbed, of (n, c, h, w) images in [0, 1] for as many labels: (n,), differentiable."""
        import math

        own = [_rows(target, labels) for target in self.targets]
        seen = [_rows(judge, labels) for judge in self.judges]

        def of(images: Any) -> Any:
            margins = [
                margin(target.logits(images), rows, self.margin, target.threshold).clamp(max=self.clamp)
                for target, rows in zip(self.targets, own, strict=True)
            ]
            total = sum(margins) / len(margins)
            for judge, rows in zip(self.judges, seen, strict=True):
                said = judge.logits(images).log_softmax(1).gather(1, rows[:, None].to(images.device))[:, 0]
                total = total + self.judge_weight / len(seen) * said.clamp(max=math.log(self.sure))
            return total

        return of


def _size(gradient: Any) -> Any:
    """Root mean square over each of n, in a shape that divides it."""
    return gradient.flatten(1).square().mean(1).sqrt().clamp(min=1e-12).view(-1, *[1] * (gradient.ndim - 1))


def steered(
    judges: Sequence[WhiteBoxImages],
    *,
    strength: float = 0.3,
    moves: int = 2,
    share: float = 0.5,
    judge_weight: float = 5.0,
    clamp: float = 3.0,
    least: float = 0.9,
) -> Augment:
    """An augment for `nets.train`: a `share` of each batch is moved by `strength`, root mean square of values in [0, 1], in
    `moves` steps along the gradient that guides a generator, so that the net meets its own blind spots while it learns. What
    one of the judges does not see as its label by `least` any more stays as it was. Labels are the judges' by number.

    Adversarial training (Madry et al. 2018, https://arxiv.org/abs/1706.06083) with a judge in place of a small bound.
    """

    def augment(module: Any, x: Any, y: Any, generator: Any) -> Any:
        import torch

        chosen = torch.rand(len(x), generator=generator) < share
        if not chosen.any():
            return x
        clean, wanted = x[chosen], y[chosen]
        images = clean
        for _ in range(moves):
            leaf = images.detach().requires_grad_()
            missed = margin(module(leaf), wanted, "away", 0.5).clamp(max=clamp)
            seen = sum(judge.logits(leaf).log_softmax(1).gather(1, wanted[:, None])[:, 0] for judge in judges)
            (gradient,) = torch.autograd.grad((missed + judge_weight / len(judges) * seen).sum(), leaf)
            images = (images + strength / moves * gradient / _size(gradient)).clamp(0, 1).detach()
        with torch.no_grad():
            sure = torch.stack([j.logits(images).softmax(1).gather(1, wanted[:, None])[:, 0] for j in judges]).amin(0)
        out = x.clone()
        out[chosen] = torch.where((sure >= least).view(-1, 1, 1, 1), images, clean)
        return out

    return augment


def margin(logits: Any, labels: Any, kind: Margin, threshold: float) -> Any:
    """(n,) how far (n, k) logits are past the decision that the attack wants, in log-odds: above 0 it succeeds."""
    import math

    import torch

    if kind == "benign":
        p = logits.log_softmax(1)
        return p[:, 0] - p[:, 1:].logsumexp(1) + math.log(max(threshold, 1e-9) / max(1 - threshold, 1e-9))
    labels = labels.to(logits.device)
    own = torch.zeros_like(logits, dtype=torch.bool).scatter(1, labels[:, None], True)
    return logits.masked_fill(own, -torch.inf).amax(1) - logits.gather(1, labels[:, None])[:, 0]


def estimate(scheduler: Any, t: Any) -> tuple[Any, Any]:
    """(a, b): the clean latent is `a * sample + b * prediction`, for the scheduler's kind and its present step.

    Flow (FlowMatchEuler and the like): x = (1 - s) clean + s noise. Schedulers of Karras et al. 2022 (Euler, Heun, LMS...):
    x = clean + s noise. All others keep the variance: x = sqrt(1 - v) clean + sqrt(v) noise.
    """
    kind = getattr(scheduler.config, "prediction_type", "epsilon")
    if "FlowMatch" in type(scheduler).__name__ or getattr(scheduler.config, "use_flow_sigmas", False):
        return 1, -scheduler.sigmas[scheduler.step_index]
    if hasattr(scheduler, "_sigma_to_alpha_sigma_t"):
        signal, noise = scheduler._sigma_to_alpha_sigma_t(scheduler.sigmas[scheduler.step_index])
    elif hasattr(scheduler, "sigmas"):
        sigma = scheduler.sigmas[scheduler.step_index]
        # The sample, scaled to constant variance, is what `v` and the rest are said of.
        grown = (sigma**2 + 1) ** 0.5
        a, b = _variance_kept(kind, 1 / grown, sigma / grown)
        return a / grown, b
    else:
        kept = scheduler.alphas_cumprod[int(t)]
        signal, noise = kept**0.5, (1 - kept) ** 0.5
    return _variance_kept(kind, signal, noise)


def _variance_kept(kind: str, signal: Any, noise: Any) -> tuple[Any, Any]:
    """Of x = signal * clean + noise * e, where signal² + noise² is 1."""
    if kind == "epsilon":
        return 1 / signal, -noise / signal
    if kind == "v_prediction":
        return signal, -noise
    if kind == "sample":
        return 0, 1
    raise JobError(f"guided: expected a scheduler that predicts epsilon, v_prediction, sample or flow; got {kind!r}")


def _index(scheduler: Any, t: Any) -> int:
    """The number of the present step; the older schedulers count none."""
    if not hasattr(scheduler, "step_index"):
        return int((scheduler.timesteps == t).nonzero()[0])
    if scheduler.step_index is None:
        scheduler._init_step_index(t)
    return scheduler.step_index


def _rows(model: WhiteBoxImages, labels: Sequence[str]) -> Any:
    """(n,) int64 numbers of the labels in a model."""
    import torch

    if wrong := sorted(set(labels) - set(model.labels)):
        raise JobError(f"guided: expected labels out of {', '.join(model.labels)}; got {', '.join(wrong)}")
    return torch.tensor([model.labels.index(label) for label in labels])
