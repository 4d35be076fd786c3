"""Criteria of validity, joined with `&`: each says why a sample is not its seed's any more. The cheap ones are asked first,
and a row that falls is shown to no later one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sparring import registry
from sparring.errors import JobError
from sparring.media import SLACK
from sparring.metrics import operating_point
from sparring.protocols import Embedder, Verdict
from sparring.record import BENIGN
from sparring.text import canonical, payload


class Rows:
    """Samples beside their seeds ("" where there is none) and labels; canonical forms are made once."""

    def __init__(
        self, seeds: Sequence[str], samples: Sequence[str], labels: Sequence[str], forms: dict[str, str] | None = None
    ):
        if not len(seeds) == len(samples) == len(labels):
            raise ValueError(f"expected a seed and a label for each sample; got {len(seeds)}, {len(samples)}, {len(labels)}")
        self.seeds, self.samples, self.labels = seeds, samples, labels
        self._forms: dict[str, str] = {} if forms is None else forms

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, where: Sequence[int]) -> Rows:
        seeds, samples, labels = ([column[i] for i in where] for column in (self.seeds, self.samples, self.labels))
        return Rows(seeds, samples, labels, self._forms)

    def flat(self, text: str) -> str:
        """Canonical form `unicode`: a normaliser, no more, stands between a sample and its seed."""
        if text not in self._forms:
            self._forms[text] = canonical(text)
        return self._forms[text]


class Criterion(ABC):
    """A judge of one thing, or of several joined by `&`. Authors write `judge`, or `kept` of `Check`.

    `names` are the reasons it can give; a higher `cost` is asked later.
    """

    names: tuple[str, ...] = ()
    cost: float = 0.0

    @abstractmethod
    def judge(self, rows: Rows) -> list[Verdict]:
        """One verdict a row, in order."""

    def assess(self, seeds: Sequence[str], samples: Sequence[str], labels: Sequence[str]) -> list[Verdict]:
        return self.judge(Rows(seeds, samples, labels)) if len(samples) else []

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, groups: Sequence[str] = ()) -> Criterion:
        """Learns from rows that no other part sees, if there is anything to learn; `groups` are their lineages."""
        return self

    def __and__(self, other: Criterion) -> All:
        return All(criteria=[*_parts(self), *_parts(other)])

    @property
    def code(self) -> tuple[type, ...]:
        """The classes whose source decides its verdicts, for the key of a unit of work."""
        return type(self).__mro__[:-2]


class Check(Criterion):
    """A criterion that is met or not: score 1 or 0, its name for a reason. A sample without a seed meets it."""

    @abstractmethod
    def kept(self, rows: Rows) -> Sequence[bool] | np.ndarray:
        """(n,) bool for rows that all have a seed."""

    def judge(self, rows: Rows) -> list[Verdict]:
        out = [Verdict(True, 1.0)] * len(rows)
        asked = [i for i, seed in enumerate(rows.seeds) if seed]
        if asked:
            for i, kept in zip(asked, self.kept(rows.take(asked)), strict=True):
                out[i] = Verdict(True, 1.0) if kept else Verdict(False, 0.0, self.names[0])
        return out


class All(Criterion):
    """Every one of several criteria, the cheap ones first. A sample's score is the lowest of those that were asked.

    In a job file: `{kind: all, criteria: [payload, {kind: edit_distance, max: 0.3}, {kind: classifier, embedder: minilm}]}`;
    `make` turns such settings into criteria.
    """

    def __init__(
        self,
        *,
        criteria: Sequence[Criterion | Mapping[str, Any] | str],
        make: Callable[[Mapping[str, Any]], Criterion] | None = None,
    ):
        if not criteria:
            raise JobError("judge 'all': expected at least one criterion, got none")
        built = [c if isinstance(c, Criterion) else _make(c, make) for c in criteria]
        self.criteria: tuple[Criterion, ...] = tuple(sorted(built, key=lambda c: c.cost))
        self.names = tuple(dict.fromkeys(name for c in self.criteria for name in c.names))
        self.cost = self.criteria[-1].cost

    def __repr__(self) -> str:
        return " & ".join(map(repr, self.criteria))

    def judge(self, rows: Rows) -> list[Verdict]:
        out, alive = [Verdict(True, 1.0)] * len(rows), list(range(len(rows)))
        for criterion in self.criteria:
            if not alive:
                break
            for i, said in zip(alive, criterion.judge(rows.take(alive)), strict=True):
                out[i] = Verdict(said.valid, min(out[i].score, said.score), said.reason)
            alive = [i for i in alive if out[i].valid]
        return out

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, groups: Sequence[str] = ()) -> All:
        for criterion in self.criteria:
            criterion.fit(texts, labels, groups=groups)
        return self

    @property
    def code(self) -> tuple[type, ...]:
        return tuple(dict.fromkeys((*super().code, *(part for c in self.criteria for part in c.code))))


class PayloadKept(Check):
    """Phone numbers, links, amounts and what the policy's own patterns find in the seed stand in the sample too."""

    names = ("payload",)

    def __init__(self, *, patterns: Sequence[str] = ()):
        self.patterns = tuple(patterns)

    def __repr__(self) -> str:
        return f"PayloadKept(patterns={list(self.patterns)})"

    def kept(self, rows: Rows) -> list[bool]:
        pairs = zip(map(rows.flat, rows.seeds), map(rows.flat, rows.samples), strict=True)
        return [all(p in flat for p in payload(origin, self.patterns)) for origin, flat in pairs]


class Length(Check):
    """At most `longer` times as long as the seed, and 20 characters."""

    names = ("length",)

    def __init__(self, *, longer: float = 1.5):
        self.longer = longer

    def __repr__(self) -> str:
        return f"Length(longer={self.longer})"

    def kept(self, rows: Rows) -> list[bool]:
        pairs = zip(map(rows.flat, rows.seeds), map(rows.flat, rows.samples), strict=True)
        return [len(flat) <= self.longer * len(origin) + SLACK for origin, flat in pairs]


class EditDistance(Check):
    """Levenshtein distance to the seed on canonical text, as a share of the longer one's length, at most `max`."""

    names = ("edit_distance",)
    cost = 1.0

    def __init__(self, *, max: float = 0.3):
        self.max = max

    def __repr__(self) -> str:
        return f"EditDistance(max={self.max})"

    def kept(self, rows: Rows) -> list[bool]:
        from rapidfuzz.distance import Levenshtein

        pairs = zip(map(rows.flat, rows.seeds), map(rows.flat, rows.samples), strict=True)
        return [Levenshtein.normalized_distance(*pair, score_cutoff=self.max) <= self.max for pair in pairs]


class Cosine(Check):
    """Canonical texts' embeddings have at least the cosine `min` to the seed's."""

    names = ("cosine",)
    cost = 10.0

    def __init__(self, embedder: Embedder, min: float = 0.8):
        self.embedder, self.min = embedder, min

    def __repr__(self) -> str:
        return f"Cosine({self.embedder.name}, min={self.min})"

    def kept(self, rows: Rows) -> np.ndarray:
        vectors = self.embedder.encode([rows.flat(t) for t in (*rows.seeds, *rows.samples)])
        return (vectors[: len(rows)] * vectors[len(rows) :]).sum(1) >= self.min


class Classifier(Criterion):
    """Embedding plus logistic regression on canonical form `deobfuscate` says that the sample carries its label.

    `max_fpr` sets the threshold of each label on cross-validated scores of the judge's rows.
    """

    names = ("label",)
    cost = 11.0

    def __init__(self, embedder: Embedder, *, max_fpr: float = 0.05):
        self.embedder, self.max_fpr = embedder, max_fpr
        self.labels: tuple[str, ...] = ()
        self.thresholds: dict[str, float] = {}
        self.rows = 0
        self._model: Any = None

    def __repr__(self) -> str:
        return f"Classifier({self.embedder.name}, max_fpr={self.max_fpr})"

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, groups: Sequence[str] = ()) -> Classifier:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold, cross_val_predict

        x, y = self._encode(texts), np.asarray(labels)
        model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
        folds = StratifiedKFold(min(5, int(np.unique(y, return_counts=True)[1].min())), shuffle=True, random_state=0)
        p = cross_val_predict(model, x, y, cv=folds, method="predict_proba")
        self.labels = tuple(np.unique(y))
        self.thresholds = {
            label: operating_point(p[:, i], y == label, self.max_fpr) for i, label in enumerate(self.labels) if label != BENIGN
        }
        self.rows = len(texts)
        self._model = model.fit(x, y)
        return self

    def scores(self, texts: Sequence[str], labels: Sequence[str]) -> np.ndarray:
        """(n,) probability that each text carries its label."""
        if not len(texts):
            return np.zeros(0)
        p = self._model.predict_proba(self._encode(texts))
        return p[np.arange(len(texts)), [self.labels.index(label) for label in labels]]

    def judge(self, rows: Rows) -> list[Verdict]:
        scores = np.clip(self.scores(rows.samples, rows.labels), 0, 1).tolist()
        valid = [score > self.thresholds[label] for score, label in zip(scores, rows.labels, strict=True)]
        return [Verdict(ok, score, "" if ok else "label") for ok, score in zip(valid, scores, strict=True)]

    def _encode(self, texts: Sequence[str]) -> np.ndarray:
        return self.embedder.encode([canonical(t, "deobfuscate") for t in texts])


def _parts(criterion: Criterion) -> tuple[Criterion, ...]:
    return criterion.criteria if type(criterion) is All else (criterion,)


def _make(given: Mapping[str, Any] | str, make: Callable[[Mapping[str, Any]], Criterion] | None) -> Criterion:
    if make is None:
        raise JobError("judge 'all': expected criteria; settings alone need a job, which makes them")
    return make(registry.settings("criterion", given))
