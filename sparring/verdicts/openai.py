from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..errors import JobError, UserError
from ..openai import Server
from .base import Answers, Prompt, Verdicts, from_top


@dataclass(kw_only=True)
class OpenAI(Server, Verdicts):
    """Any server whose `/chat/completions` gives log-probabilities: vLLM, llama.cpp, SGLang, some hosted ones.

    It names the `top` likeliest tokens only: an answer that is none of them has at most the probability of the least likely
    one. `extra` goes into every request as it stands (`{chat_template_kwargs: {enable_thinking: false}}`, for one).
    """

    name: ClassVar[str] = "openai"
    begins: ClassVar[bool] = False

    top: int = 20
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.top < 2:
            raise JobError(f"verdicts 'openai': expected concurrency >= 1 and top >= 2, got {self.concurrency} and {self.top}")
        self.check_url()

    def answer(self, prompts: Sequence[Prompt], answers: tuple[str, ...], begun: str) -> Answers:
        nothing: dict[str, float] = {}
        top = self.post("chat/completions", [self._body(*prompt) for prompt in prompts], self._top, unanswered=nothing)
        # A token stands for the answer that it begins, and no other: of "unsafe" a tokenizer may show "uns" first.
        number: dict[str, int] = {}
        own: list[list[int]] = [[] for _ in answers]
        for token in dict.fromkeys(token for row in top for token in row):
            begins = [j for j, answer in enumerate(answers) if token.strip() and answer.startswith(token.strip())]
            exact = [j for j in begins if answers[j] == token.strip()]
            number[token] = len(number)
            if len(exact or begins) == 1:
                own[(exact or begins)[0]].append(number[token])
        found = from_top([{number[token]: logprob for token, logprob in row.items()} for row in top], own, self.top)
        found.p[[not row for row in top]] = np.nan
        return found

    def _body(self, system: str, user: str) -> dict[str, Any]:
        roles = [{"role": "system", "content": system}] if system else []
        return {
            "model": self.model, "messages": [*roles, {"role": "user", "content": user}], "max_tokens": 1,
            "temperature": 1, "top_p": 1, "seed": 0, "logprobs": True, "top_logprobs": self.top, **self.extra,
        }  # fmt: skip

    def _top(self, body: str) -> dict[str, float]:
        """token -> log-probability at the answer's first place; of a token that two numbers spell, the likelier."""
        try:
            first = json.loads(body)["choices"][0]["logprobs"]["content"][0]
            found = [(str(entry["token"]), float(entry["logprob"])) for entry in (first, *first["top_logprobs"])]
            return dict(sorted(found, key=lambda pair: pair[1]))
        except (ValueError, KeyError, IndexError, TypeError):
            raise UserError(
                f"{self.base_url}: expected JSON with choices[0].logprobs.content[0].top_logprobs, got something else. "
                "Fix: a server and a model that give log-probabilities (vLLM, llama.cpp and SGLang do)"
            ) from None
