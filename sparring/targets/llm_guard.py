from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from .. import guard, policy, refs, verdicts
from ..errors import JobError, TargetFailed
from ..policy import Policy
from ..record import digest
from ..verdicts.base import Verdicts

STYLES = ("policy", "llama-guard")


class LlmGuard:
    """A language model that is given the policy and asked: violating is the probability of its answer. Not trained.

    `style` "policy" asks Yes or No once a category, the content between markers (as gpt-oss-safeguard and ShieldGemma are
    asked); violating is the likeliest category's probability. "llama-guard" asks for safe or unsafe in one prompt in the style
    of Llama Guard 3, and where the policy has several categories, for the category in a second one.

    `verdicts` are a backend's settings, `{kind: transformers, model: ...}`. `policy` is a file; without it the job's own. What
    of a text follows `max_characters` is not seen.
    """

    trainable: ClassVar[bool] = False
    gradients: ClassVar[bool] = False
    threshold: float = 0.5

    def __init__(
        self,
        *,
        verdicts: Mapping[str, Any] | None = None,
        style: str = "policy",
        policy: str | None = None,
        max_characters: int = guard.LONGEST,
    ):
        if style not in STYLES:
            raise JobError(f"target 'llm_guard': expected style out of {', '.join(STYLES)}; got {style!r}")
        if max_characters < 1:
            raise JobError(f"target 'llm_guard': expected max_characters of at least 1, got {max_characters}")
        if verdicts is None:
            raise JobError(
                "target 'llm_guard': expected `verdicts`, the model that is asked; got none. "
                "Fix: verdicts: {kind: transformers, model: ...}, or kind openai with base_url and model"
            )
        self.verdicts, self.style, self.policy, self.max_characters = dict(verdicts), style, policy, max_characters
        self._rules: Policy | None = _read(policy) if policy else None

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in sorted(self.settings().items()))
        return f"{type(self).__name__}({settings}, asks={self._asks!r})"

    @property
    def _asks(self) -> str | None:
        """Stands for the policy's content and all wording: a unit's key must change with them."""
        if self._rules is None:
            return None
        one = self._rules.categories[0]
        systems = [guard.llama_guard(self._rules), *(guard.rule(self._rules, c) for c in self._rules.categories)]
        return digest(systems, guard.question(one, "text"), guard.conversation("text"))

    def settings(self) -> dict[str, Any]:
        return {
            "verdicts": self.verdicts, "style": self.style, "policy": self.policy, "max_characters": self.max_characters,
        }  # fmt: skip

    def under(self, rules: Policy) -> Self:
        """Judges by `rules` from now on, unless its settings name a policy of its own."""
        self._rules = self._rules or rules
        return self

    @property
    def rules(self) -> Policy:
        if self._rules is None:
            raise TargetFailed("target 'llm_guard': expected a policy; name one in `policy`, or call `under`")
        return self._rules

    @property
    def labels(self) -> tuple[str, ...]:
        return self._rules.labels if self._rules else ()

    def fit(self, texts: Sequence[str], labels: Sequence[str], *, names: tuple[str, ...], seed: int) -> Self:
        raise JobError("target 'llm_guard' judges by the policy's text and is not trained. Fix: retrain: none")

    def predict_proba(self, samples: Sequence[str]) -> np.ndarray:
        """(n, k) float32; rows sum to 1."""
        rules = self.rules
        if not len(samples):
            return np.zeros((0, len(rules.labels)), np.float32)
        violating, among = self._by_rule(samples) if self.style == "policy" else self._by_list(samples)
        spread = violating[:, None] * among
        return np.concatenate([1 - violating[:, None], spread], axis=1).astype(np.float32)

    def _by_rule(self, samples: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(n,) violating and (n, categories) which, of one question a category."""
        each = []
        for category in self.rules.categories:
            system = guard.rule(self.rules, category)
            prompts = [(system, guard.question(category, text, longest=self.max_characters)) for text in samples]
            each.append(self._model.ask(prompts, ("Yes", "No")).share[:, 0])
        p = np.stack(each, axis=1)
        return p.max(1), p / np.maximum(p.sum(1, keepdims=True), 1e-12)

    def _by_list(self, samples: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        system = guard.llama_guard(self.rules)
        prompts = [(system, guard.conversation(text, longest=self.max_characters)) for text in samples]
        violating = self._model.ask(prompts, ("unsafe", "safe")).share[:, 0]
        if len(self.rules.categories) == 1:
            return violating, np.ones((len(samples), 1))
        numbers = tuple(str(number + 1) for number in range(len(self.rules.categories)))
        return violating, self._model.ask(prompts, numbers, begun="unsafe\nS").share

    @cached_property
    def _model(self) -> Verdicts:
        return verdicts.made(self.verdicts)

    def save(self, folder: pathlib.Path) -> None:
        """Settings and the policy's content; the model stays where its reference says."""
        rules = self.rules
        folder.mkdir(parents=True)
        state = {"settings": self.settings(), "threshold": self.threshold, "policy": rules.model_dump(mode="json")}
        (folder / "target.json").write_text(json.dumps(state, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: pathlib.Path) -> Self:
        state = json.loads((folder / "target.json").read_text(encoding="utf-8"))
        new = cls(**state["settings"] | {"policy": None})
        new.policy, new._rules = state["settings"]["policy"], Policy.model_validate(state["policy"])
        new.threshold = state["threshold"]
        return new


def _read(reference: str) -> Policy:
    return policy.load(refs.resolve(reference))
