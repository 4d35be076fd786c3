from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np

from .. import guard, policy, refs, registry, verdicts
from ..errors import JobError, Refused, RowsFailed, TargetFailed
from ..jobs import Count
from ..policy import Policy
from ..record import digest
from ..verdicts.base import Verdicts
from .base import BaseTarget


class LlmGuard(BaseTarget):
    """A language model that is given the policy and asked: violating is the probability of its answer. Not trained.

    `style` "policy" asks Yes or No once a category, the content between markers (as gpt-oss-safeguard and ShieldGemma are
    asked); violating is the likeliest category's probability. "llama-guard" asks for safe or unsafe in one prompt in the style
    of Llama Guard 3, and where the policy has several categories, for the category in a second one.

    `verdicts` are a backend's settings, `{kind: transformers, model: ...}`. `policy` is a file; without it the job's own. What
    of a text follows `max_characters` is not seen.
    """

    kind = "llm_guard"

    class Settings(BaseTarget.Settings):
        verdicts: dict[str, Any] | None = None
        style: Literal["policy", "llama-guard"] = "policy"
        policy: str | None = None
        max_characters: Count = guard.LONGEST

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        if self.settings.verdicts is None:
            raise JobError(
                "target 'llm_guard': expected `verdicts`, the model that is asked; got none. "
                "Fix: verdicts: {kind: transformers, model: ...}, or kind openai with base_url and model"
            )
        self._rules: Policy | None = None

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, asks={self._asks!r})"

    @property
    def _asks(self) -> str | None:
        """Stands for the policy's content and all wording: a unit's key must change with them."""
        if self._rules is None and self.settings.policy is None:
            return None
        rules = self.rules
        systems = [guard.llama_guard(rules), *(guard.rule(rules, c) for c in rules.categories)]
        return digest(systems, guard.question(rules.categories[0], "text"), guard.conversation("text"))

    def check(self, names: tuple[str, ...]) -> None:
        super().check(names)
        if self.settings.policy:
            self._check_labels(names)

    def content(self) -> dict[str, str | None]:
        """The hash of a model on this disk; a server knows its models by name."""
        asked = self.settings.verdicts
        local = isinstance(asked.get("model"), str) and "base_url" not in registry.takes("verdicts", str(asked.get("kind")))
        return {"verdicts": refs.content(asked["model"], base=self.base) if local else None}

    def under(self, rules: Policy) -> Self:
        """Judges by `rules` from now on, unless its settings name a policy of its own."""
        if self.settings.policy is None:
            self._rules = rules
        self.labels = self.rules.labels
        return self

    def check_fitted(self) -> None:
        if not self.labels:
            raise TargetFailed("target 'llm_guard': expected a policy; call `under` with the job's, or load")

    def with_labels(self, names: tuple[str, ...]) -> Self:
        """A new guard under the same policy, whose labels these must be."""
        self._check_labels(names)
        new = super().with_labels(names)
        new._rules = self.rules
        return new

    def _check_labels(self, names: tuple[str, ...]) -> None:
        if self.rules.labels != tuple(names):
            raise JobError(
                f"target 'llm_guard': expected a policy with the labels {', '.join(names)}, as the job's; its own has "
                f"{', '.join(self.rules.labels)}. Fix: leave `policy` out, or name one with these categories"
            )

    @property
    def rules(self) -> Policy:
        if self._rules is None:
            if self.settings.policy is None:
                raise TargetFailed("target 'llm_guard': expected a policy; name one in `policy`, or call `under`")
            self._rules = policy.load(pathlib.Path(self.resolve(self.settings.policy)))
        return self._rules

    def predict_proba(self, samples: Sequence[str]) -> np.ndarray:
        """(n, k) float32; rows sum to 1, those that a server gave no answer to are NaN."""
        self.check_fitted()
        if not len(samples):
            return np.zeros((0, len(self.labels)), np.float32)
        try:
            violating, among = self._by_rule(samples) if self.settings.style == "policy" else self._by_list(samples)
        except Refused as error:
            raise RowsFailed(str(error)) from error
        spread = violating[:, None] * among
        return np.concatenate([1 - violating[:, None], spread], axis=1).astype(np.float32)

    def _by_rule(self, samples: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(n,) violating and (n, categories) which, of one question a category."""
        each = []
        for category in self.rules.categories:
            system = guard.rule(self.rules, category)
            prompts = [(system, guard.question(category, text, longest=self.settings.max_characters)) for text in samples]
            each.append(self._model.ask(prompts, ("Yes", "No")).share[:, 0])
        p = np.stack(each, axis=1)
        return p.max(1), p / np.maximum(p.sum(1, keepdims=True), 1e-12)

    def _by_list(self, samples: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        system = guard.llama_guard(self.rules)
        prompts = [(system, guard.conversation(text, longest=self.settings.max_characters)) for text in samples]
        violating = self._model.ask(prompts, ("unsafe", "safe")).share[:, 0]
        if len(self.rules.categories) == 1:
            return violating, np.ones((len(samples), 1))
        numbers = tuple(str(number + 1) for number in range(len(self.rules.categories)))
        return violating, self._model.ask(prompts, numbers, begun="unsafe\nS").share

    @cached_property
    def _model(self) -> Verdicts:
        with refs.relative_to(self.base):
            return verdicts.made(self.settings.verdicts)

    def write(self, folder: pathlib.Path) -> None:
        """The policy's content; the model stays where its reference says."""
        state = self.rules.model_dump(mode="json")
        (folder / "policy.json").write_text(json.dumps(state, indent=1, ensure_ascii=False), encoding="utf-8")

    def read(self, folder: pathlib.Path) -> None:
        self._rules = Policy.model_validate_json((folder / "policy.json").read_text(encoding="utf-8"))
