"""What every backend of verdicts promises, and how an answer's probability is read off a list of tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import registry
from ..errors import JobError

Prompt = tuple[str, str]  # system, user


@dataclass(frozen=True, slots=True)
class Answers:
    """For n prompts and a answers: `p` (n, a), the probability that the assistant's turn begins with each answer; a row sums
    to at most 1, and is NaN where a server gave no answer. `listed` (n, a) is False where a server named only its likeliest
    tokens and the answer was none of them: `p` is then its upper bound."""

    p: np.ndarray
    listed: np.ndarray

    @property
    def mass(self) -> np.ndarray:
        """(n,) how likely any of the answers is: far below 1, the model does not answer as it was asked to."""
        return self.p.sum(1)

    @property
    def share(self) -> np.ndarray:
        """(n, a) the answers' probabilities among themselves; equal where none has any, NaN where there was no answer."""
        equal = np.full_like(self.p, 1 / max(1, self.p.shape[1]))
        return np.divide(self.p, self.mass[:, None], out=equal, where=self.mass[:, None] != 0)


@dataclass(kw_only=True)
class Verdicts(ABC):
    """A language model that is asked for one of several answers. Authors write `answer`.

    What many prompts share belongs into the system prompt: a backend computes it once. An answer counts by its first token,
    with or without a space before it; answers of one first token cannot be told apart, which is an error.
    """

    name: ClassVar[str]
    begins: ClassVar[bool] = True  # capability: an assistant's turn that was begun can be gone on with

    model: str
    revision: str | None = None

    def ask(self, prompts: Sequence[Prompt], answers: Sequence[str], *, begun: str = "") -> Answers:
        """The probability of each answer as what the assistant says next, behind `begun`, to each (system, user) prompt."""
        if len(set(answers)) < max(2, len(answers)) or not all(a.strip() for a in answers):
            raise ValueError(f"expected two or more answers, none twice or empty; got {list(answers)}")
        if begun and not self.begins:
            raise JobError(f"verdicts {self.name!r}: expected a question of one token, this one needs an answer that was begun")
        if not len(prompts):
            return Answers(np.zeros((0, len(answers))), np.ones((0, len(answers)), bool))
        return self.answer(prompts, tuple(answers), begun)

    @abstractmethod
    def answer(self, prompts: Sequence[Prompt], answers: tuple[str, ...], begun: str) -> Answers:
        """The same for at least one prompt, in order."""


def made(given: Verdicts | Mapping[str, Any]) -> Verdicts:
    """The backend that settings name: `{kind: transformers, model: ...}`."""
    if isinstance(given, Verdicts):
        return given
    settings = dict(given)
    if not isinstance(settings.get("kind"), str):
        raise JobError(f"verdicts: expected `kind` out of {', '.join(registry.names('verdicts'))}, and its settings; got none")
    return registry.make("verdicts", settings.pop("kind"), **settings)


def first_tokens(tokenizer: Any, answers: Sequence[str]) -> list[list[int]]:
    """The token numbers by which each answer may begin. Those that two answers share are of no use and left out.

    Raises `JobError` where an answer has none left.
    """
    variants = [(answer, f" {answer}") for answer in answers]
    first = [{tokenizer(v, add_special_tokens=False)["input_ids"][0] for v in pair} for pair in variants]
    own = [sorted(ids.difference(*first[:i], *first[i + 1 :])) for i, ids in enumerate(first)]
    if not all(own):
        lost = [answer for answer, ids in zip(answers, own, strict=True) if not ids]
        raise JobError(
            f"expected answers that begin with tokens of their own, this model's tokenizer begins {lost[0]!r} like another of "
            f"{list(answers)}. Fix: another style of question (`style: policy`), or another model"
        )
    return own


def from_top(top: Sequence[Mapping[int, float]], answers: Sequence[Sequence[int]], k: int) -> Answers:
    """From the `k` likeliest tokens of each row, token -> log-probability, and the tokens of each answer.

    An answer of which no token is listed is at most as likely as the k-th, and as what the listed ones leave. A list may hold
    one token more, the one that was drawn.
    """
    p, listed = np.zeros((len(top), len(answers))), np.zeros((len(top), len(answers)), bool)
    for i, row in enumerate(top):
        found = {token: float(np.exp(min(0.0, logprob))) for token, logprob in row.items()}
        least = sorted(found.values(), reverse=True)[:k][-1:]
        bound = min([*least, max(0.0, 1 - sum(found.values()))])
        for j, tokens in enumerate(answers):
            known = [found[token] for token in tokens if token in found]
            p[i, j], listed[i, j] = (sum(known), True) if known else (bound, False)
    return Answers(p, listed)
