from __future__ import annotations

import pathlib
import pickle
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import JobError, RowsFailed
from ..record import BENIGN
from .base import clean
from .encoder import sigmoid, softmax
from .fixed import FileTarget
from .linear import LinearSwaps
from .scores import Scores, guessed


class SklearnFileTarget(FileTarget):
    """A fitted scikit-learn pipeline or estimator over raw texts, from a skops, joblib or pickle file, as it is.

    A skops file of scikit-learn's own types loads as it is. One with other types, and every joblib or pickle file, can run
    any code when it is loaded: that needs `trust: true`. Scores are those of `predict_proba`; an estimator that has only
    `decision_function` goes through a sigmoid (two classes) or softmax (more): the order of its scores stays, but they
    are no probabilities. The classes are those of `classes_`.
    """

    kind = "sklearn_file"
    gradients = True  # of a linear one

    class Settings(FileTarget.Settings):
        trust: bool = False  # may the file run code when it is loaded

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._estimator: Any = None
        self._swaps: LinearSwaps | None = None

    def check(self, names: tuple[str, ...]) -> None:
        super().check(names)
        self._check_trust(pathlib.Path(self.resolve(self.settings.model)))

    def score(self, texts: list[str]) -> Scores:
        if self._estimator is None:
            self._estimator = self._open()
        try:
            classes, values = _answer(self._estimator, texts)
        except (AttributeError, TypeError, ValueError) as error:  # what it says may hold a text
            raise RowsFailed(
                f"{self.who}: the estimator raised {type(error).__name__}; expected one that takes a list of raw texts. "
                "Fix: save a pipeline that begins with the vectorizer"
            ) from error
        return Scores(classes, values)

    def swap_gains(
        self, samples: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]], words: Sequence[str]
    ) -> list[np.ndarray]:
        self.check_fitted()
        if self._swaps is None:
            self._estimator = self._estimator or self._open()
            classes = tuple(str(c) for c in getattr(self._estimator, "classes_", ()))
            given = self.settings.labels
            label = dict(given) if given is not None else guessed(classes, self.labels, self.who)
            violating = [label.get(c, BENIGN) != BENIGN for c in classes]
            self._swaps = LinearSwaps(self._estimator, violating, self.who)
        return [self._swaps.gains(text, mine, words) for text, mine in zip(clean(samples), spans, strict=True)]

    def _open(self) -> Any:
        import joblib
        import skops.io

        path, named = pathlib.Path(self.place), self.settings.model
        untrusted = self._check_trust(path)
        try:
            found = skops.io.load(path, trusted=untrusted) if _is_skops(path) else joblib.load(path)
        except (ImportError, AttributeError, EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
            raise JobError(
                f"{named}: expected a skops, joblib or pickle file; it could not be loaded ({type(error).__name__}: "
                f"{str(error)[:200]}). Fix: install the versions of scikit-learn and of other packages that it was saved with"
            ) from error
        if not (hasattr(found, "predict_proba") or hasattr(found, "decision_function")):
            raise JobError(
                f"{named}: expected a fitted estimator with predict_proba or decision_function, found "
                f"{type(found).__name__}. Fix: save a pipeline that ends in such a classifier"
            )
        return found

    def _check_trust(self, path: pathlib.Path) -> list[str]:
        """The types that the file would have skops trust; raises `JobError` where it takes trust to load and there is none."""
        import skops.io

        untrusted = skops.io.get_untrusted_types(file=path) if _is_skops(path) else []
        if not self.settings.trust and (untrusted or not _is_skops(path)):
            what = f"a skops file with types that skops warns of ({', '.join(untrusted)[:200]})" if untrusted else "a pickle"
            raise JobError(
                f"{self.settings.model}: {what} can run any code, or crash, when it is loaded. Fix: if you know who made it, "
                "write `trust: true` beside it in the job; or save a pipeline of plain types with skops.io.dump"
            )
        return untrusted


def _is_skops(path: pathlib.Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "schema.json" in archive.namelist()


def _answer(estimator: Any, texts: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """The classes, and (n, c) scores in [0, 1]."""
    if hasattr(estimator, "predict_proba"):
        found = estimator.predict_proba(texts)
        # A multi-output classifier answers with one array an output, each for "not" and "yes".
        values = np.stack([np.asarray(each)[:, 1] for each in found], 1) if isinstance(found, list) else np.asarray(found)
    else:
        found = np.asarray(estimator.decision_function(texts), np.float64)
        one = sigmoid(found.reshape(-1, 1))
        values = softmax(found) if found.ndim == 2 else np.hstack([1 - one, one])
    classes = getattr(estimator, "classes_", ())
    if len(classes) != values.shape[1] or isinstance(classes, list):
        classes = range(values.shape[1])
    return tuple(str(c) for c in classes), values
