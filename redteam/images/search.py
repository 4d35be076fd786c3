"""Search by scores alone, for targets that give no gradients: over the initial noise, the prompts, and images drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from sparring.errors import JobError
from sparring.protocols import Brief, Drawn, ImageModel, Target, probabilities

from .guided import Margin


@dataclass(frozen=True, slots=True)
class Found:
    """The best that was drawn for a brief: what it came of, its image, how far it is past the decision in log-odds (above 0 it
    succeeds), and the scores of the target that it cost. Without any image `drawn` says why and `margin` is -inf."""

    brief: Brief
    drawn: Drawn
    margin: float
    queries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """For each brief first `noises` draws, each of its own noise (and, in turn, each of `prompts`, where "{}" stands for the
    brief's prompt or label); then, until `budget` draws are spent, the best so far drawn anew by SDEdit at `strength`, kept
    when it comes nearer. A brief is done when its margin is above `past`.

    A draw counts as nearer by margin + `judge_weight` * mean over judges of log P(the brief's label); all that is asked is
    `predict_proba`. What is found depends on the brief alone.
    """

    budget: int = 16
    noises: int = 8
    prompts: tuple[str, ...] = ("{}",)
    strength: float = 0.5
    judge_weight: float = 1.0
    margin: Margin = "away"
    past: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.noises <= self.budget or not self.prompts or not 0 < self.strength <= 1:
            raise JobError("search: expected 1 <= noises <= budget, a prompt, and a strength in (0, 1]")

    def __call__(
        self, model: ImageModel, target: Target, briefs: Sequence[Brief], *, judges: Sequence[Target] = ()
    ) -> list[Found]:
        """One finding for each brief, in order; the briefs of a generation are drawn and scored together."""
        best = [Found(b, Drawn(None, reason="not drawn"), -np.inf, 0) for b in briefs]
        worth, open_ = np.full(len(briefs), -np.inf), list(range(len(briefs)))
        for turn in range(self.budget):
            if not open_:
                break
            tried = [self._brief(briefs[i], best[i], turn) for i in open_]
            drawn = model.draw(tried)
            files = {k: outcome.image for k, outcome in enumerate(drawn) if outcome.image is not None}
            rows, images = list(files), list(files.values())
            labels = [tried[k].label for k in rows]
            margins = margins_of(target, images, labels, self.margin)
            seen = [log_probability(judge, images, labels) for judge in judges]
            values = margins + (self.judge_weight * np.mean(seen, 0) if seen else 0)
            scored = dict(zip(rows, zip(margins, values, strict=True), strict=True))
            for k, i in enumerate(open_):
                if k not in scored:
                    best[i] = replace(best[i], drawn=drawn[k]) if best[i].drawn.image is None else best[i]
                    continue
                gap, value = scored[k]
                spent = best[i].queries + 1
                if value > worth[i]:
                    worth[i], best[i] = value, Found(tried[k], drawn[k], float(gap), spent)
                else:
                    best[i] = replace(best[i], queries=spent)
            open_ = [i for i in open_ if best[i].margin <= self.past]
        return best

    def _brief(self, asked: Brief, best: Found, turn: int) -> Brief:
        seed = asked.seed if not turn else Random(f"{asked.seed} {turn}").getrandbits(31)
        if turn >= self.noises and best.drawn.image is not None:
            return replace(best.brief, seed=seed, start=best.drawn.image, strength=self.strength)
        prompt = self.prompts[turn % len(self.prompts)]
        said = asked.prompt if prompt == "{}" else prompt.replace("{}", asked.prompt or asked.label)
        return replace(asked, seed=seed, prompt=said)


def margins_of(target: Target, images: Sequence[bytes], labels: Sequence[str], kind: Margin) -> np.ndarray:
    """(n,) how far files are past the decision that the attack wants, in log-odds, by the target's probabilities."""
    p = np.clip(probabilities(target, images).astype(np.float64), 1e-9, 1 - 1e-9)
    if kind == "benign":
        edge = min(max(target.threshold, 1e-9), 1 - 1e-9)
        return np.log(p[:, 0] / (1 - p[:, 0])) + np.log(edge / (1 - edge))
    rows = np.array([target.labels.index(label) for label in labels], np.int64)
    own = p[np.arange(len(p)), rows]
    others = p.copy()
    others[np.arange(len(p)), rows] = 0
    return np.log(others.max(1, initial=0) / own) if len(p) else np.zeros(0)


def log_probability(judge: Target, images: Sequence[bytes], labels: Sequence[str]) -> np.ndarray:
    """(n,) log P(label) of files by a judge's probabilities."""
    rows = [judge.labels.index(label) for label in labels]
    return np.log(np.clip(probabilities(judge, images).astype(np.float64)[np.arange(len(rows)), rows], 1e-9, 1))
