"""What a job does with a classifier: settings, labels, threshold, save, load; and with one that it trains: fit."""

from __future__ import annotations

import json
import pathlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import pydantic

from .. import refs, yamls
from ..errors import JobError, TargetFailed
from ..jobs import Rate


class BaseTarget(ABC):
    """A classifier of texts, or of images as encoded files. Keyword arguments go to the class's `Settings`, which say what is
    wrong with them.

    Authors write `Settings`, `predict_proba` and, where there is more to keep than settings, labels and threshold,
    `write` and `read`.
    """

    kind: ClassVar[str]  # its name in the registry
    trainable: ClassVar[bool] = False  # capability: the job can train it
    gradients: ClassVar[bool] = False  # capability: white-box attacks need them
    references: ClassVar[tuple[str, ...]] = ()  # the settings that name a model: what they stand for is part of a fit's key

    class Settings(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
        threshold: Rate = 0.5  # the classifier's own; a job's `max_fpr` sets another

    def __init__(self, **settings: Any):
        self.settings: Any = yamls.parse(self.Settings, settings, self.who, JobError)
        self.base = refs.base()
        self.labels: tuple[str, ...] = ()
        self.threshold: float = self.settings.threshold

    @property
    def who(self) -> str:
        """How an error begins."""
        return f"target {self.kind!r}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in sorted(self.settings.model_dump().items()))})"

    def with_labels(self, names: tuple[str, ...]) -> Self:
        """A new target of the same settings that answers for `names`, benign first."""
        new = type(self)(**self.settings.model_dump())
        new.base, new.labels = self.base, tuple(names)
        return new

    def resolve(self, reference: str) -> str:
        """`refs.resolve`, from where the target was made, however late it loads."""
        return refs.resolve(reference, base=self.base)

    def check(self, names: tuple[str, ...]) -> None:
        """Raises what a person can mend before any work: a missing file, package or variable. Loads nothing."""
        for setting in self.references:
            reference = getattr(self.settings, setting)
            if reference is not None:
                self.resolve(reference)

    def content(self) -> dict[str, str | None]:
        """What the settings refer to, as hashes: a file that changed under the same name is another classifier."""
        named = {setting: getattr(self.settings, setting) for setting in self.references}
        return {
            setting: refs.content(reference, base=self.base) for setting, reference in named.items() if reference is not None
        }

    def check_fitted(self) -> None:
        if not self.labels:
            raise TargetFailed("expected a fitted target; call fit or load first")

    @abstractmethod
    def predict_proba(self, samples: Sequence[Any]) -> np.ndarray:
        """(n, k) float32 in [0, 1]; a row of NaN: this row failed, after the target's own retries.

        Raises `TargetFailed` before a fit.
        """

    def save(self, folder: pathlib.Path) -> None:
        """Everything that `load` needs, without pickle."""
        self.check_fitted()
        folder.mkdir(parents=True)
        self.write(folder)
        state = {"settings": self.settings.model_dump(mode="json"), "labels": self.labels, "threshold": self.threshold}
        (folder / "target.json").write_text(json.dumps(state, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        """The target that `save` wrote."""
        state = json.loads((folder / "target.json").read_text(encoding="utf-8"))
        new = cls(**state["settings"])
        new.labels, new.threshold = tuple(state["labels"]), state["threshold"]
        new.read(folder)
        return new

    def write(self, folder: pathlib.Path) -> None:  # noqa: B027, most have nothing more
        """Puts what was learned beside `target.json`."""

    def read(self, folder: pathlib.Path) -> None:  # noqa: B027
        """Takes back what `write` put there."""

    def left_at(self, out: pathlib.Path, names: tuple[str, ...]) -> Self:
        """The target for the labels `names` out of what a job's `retrain` command left at `out`."""
        try:
            found = self.load(out)
        except (OSError, KeyError, ValueError) as error:
            raise JobError(
                f"retrain.command: expected what the target {self.kind!r} saves (target.json and what it names), found "
                f"something else: {type(error).__name__} {getattr(error, 'filename', None) or error}"
            ) from error
        if found.labels != names:
            raise JobError(f"retrain.command: expected a model with the labels {names}, got {found.labels}")
        return found


class TrainableTarget(BaseTarget):
    """A classifier that the job trains itself: `fit` returns a new, fitted target."""

    trainable = True

    @abstractmethod
    def fit(self, texts: Sequence[Any], labels: Sequence[str], *, names: tuple[str, ...], seed: int) -> Self:
        """A new target trained on (text or encoded image, label) rows; `names` lists every label, benign first."""


def clean(texts: Sequence[str]) -> list[str]:
    """Lone surrogates, which no tokenizer and no wire takes, become "?"."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
