"""Judges of images: small networks, each of another architecture, that must agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparring.metrics import operating_point
from sparring.protocols import Verdict
from sparring.record import BENIGN
from sparring.targets.image_net import ImageNet

from .criteria import Criterion, Rows

HELD = 4  # one row in so many sets the thresholds and is not learned from


class Nets(Criterion):
    """Networks of the `architectures` named all say that an image carries its label: unanimous, or the sample falls.

    Each label's threshold lets `max_fpr` of the other rows through, on rows that no network learned from, and is never below
    `least`. Name architectures that neither the target nor what guides a generator has.
    """

    names = ("label",)
    cost = 11.0

    def __init__(
        self, *, architectures: Sequence[str] = ("residual",), size: int = 28, channels: int = 1, epochs: int = 15,
        max_fpr: float = 0.01, least: float = 0.5, seed: int = 0,
    ):  # fmt: skip
        self.architectures, self.max_fpr, self.least, self.seed = tuple(architectures), max_fpr, least, seed
        self._plans = [ImageNet(architecture=a, size=size, channels=channels, epochs=epochs) for a in self.architectures]
        self.nets: list[ImageNet] = []
        self.labels: tuple[str, ...] = ()
        self.thresholds: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"Nets({self._plans!r}, max_fpr={self.max_fpr}, least={self.least}, seed={self.seed})"

    def fit(self, texts: Sequence[Any], labels: Sequence[str], *, groups: Sequence[str] = ()) -> Nets:
        """Learns from (encoded file, label) rows that no other part sees; rows of one group stay on one side."""
        self.labels = tuple(sorted(set(labels), key=lambda name: (name != BENIGN, name)))
        ids = list(dict.fromkeys(groups)) if groups else list(range(len(labels)))
        order = np.random.default_rng(self.seed).permutation(len(ids))
        held_ids = {ids[i] for i in order[: max(1, len(ids) // HELD)]}
        held = np.array([(groups[i] if groups else i) in held_ids for i in range(len(labels))])
        learnt = [i for i in range(len(labels)) if not held[i]]
        known = {labels[i] for i in learnt}
        if known != set(self.labels):  # too few rows to set any aside
            learnt, held = list(range(len(labels))), np.ones(len(labels), bool)
        self.nets = [
            plan.fit([texts[i] for i in learnt], [labels[i] for i in learnt], names=self.labels, seed=self.seed + number)
            for number, plan in enumerate(self._plans)
        ]
        rest = [i for i in range(len(labels)) if held[i]]
        p, truth = self._agreed([texts[i] for i in rest]), np.array([labels[i] for i in rest])
        for number, label in enumerate(self.labels):
            if label != BENIGN:
                self.thresholds[label] = max(self.least, operating_point(p[:, number], truth == label, self.max_fpr))
        return self

    def scores(self, samples: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
        """(n,) the least probability that a network gives each image's label."""
        if not len(samples):
            return np.zeros(0)
        return self._agreed(samples)[np.arange(len(samples)), [self.labels.index(label) for label in labels]]

    def judge(self, rows: Rows) -> list[Verdict]:
        scores = self.scores(rows.samples, rows.labels).tolist()
        valid = [score > self.thresholds[label] for score, label in zip(scores, rows.labels, strict=True)]
        return [Verdict(ok, score, "" if ok else "label") for ok, score in zip(valid, scores, strict=True)]

    def _agreed(self, samples: Sequence[Any]) -> np.ndarray:
        """(n, k) the least probability over the networks."""
        return np.min([net.predict_proba(samples) for net in self.nets], axis=0)
