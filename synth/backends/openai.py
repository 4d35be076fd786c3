from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sparring.errors import SparringError
from sparring.openai import Server
from sparring.protocols import Completion

from .base import Backend


@dataclass(kw_only=True)
class OpenAI(Server, Backend):
    """Any server with `/chat/completions` as OpenAI defined it: vLLM, llama.cpp, Ollama, or a hosted one.

    The key is read from the environment for each call and kept nowhere. A server may ignore `seed`.
    """

    name: ClassVar[str] = "openai"

    guided: bool = True  # the server takes `response_format: json_schema`, for answers that must be JSON

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_url()

    def answer(
        self, prompts: Sequence[tuple[str, str]], seeds: Sequence[int], schema: Mapping[str, Any] | None = None
    ) -> list[Completion]:
        bodies = [self._body(prompt, seed, schema) for prompt, seed in zip(prompts, seeds, strict=True)]
        return self.post("chat/completions", bodies, self._completion)

    def _body(self, prompt: tuple[str, str], seed: int, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        system, user = prompt
        form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
        return {
            "model": self.model, "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "max_tokens": self.max_new_tokens, "temperature": self.temperature, "top_p": self.top_p, "seed": seed,
            **({"response_format": form} if schema else {}),
        }  # fmt: skip

    def _completion(self, body: str) -> Completion:
        try:
            reply = json.loads(body)
            text = reply["choices"][0]["message"]["content"] or ""
            return Completion(text, (reply.get("usage") or {}).get("completion_tokens") or 0)
        except (ValueError, KeyError, IndexError, TypeError):
            fault = f"{self.base_url}: expected JSON with choices[0].message.content, got something else"
            raise SparringError(fault) from None
