from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sparring.errors import SparringError
from sparring.generation import Asked, Told
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

    def answer(self, asked: Iterator[Asked], told: Told, schema: Mapping[str, Any] | None = None) -> None:
        numbers: list[int] = []

        def bodies() -> Iterator[dict[str, Any]]:
            for one in asked:
                numbers.append(one.number)
                yield self._body(one, schema)

        self.post("chat/completions", bodies(), self._completion, lambda i, answer: told(numbers[i], answer))

    def _body(self, one: Asked, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
        return {
            "model": self.model, "messages": [{"role": "system", "content": one.system}, {"role": "user", "content": one.user}],
            "max_tokens": self.max_new_tokens, "temperature": self.temperature, "top_p": self.top_p, "seed": one.seed,
            **({"response_format": form} if schema else {}),
        }  # fmt: skip

    def _completion(self, body: str) -> Completion:
        try:
            reply = json.loads(body)
            text = reply["choices"][0]["message"]["content"] or ""
            used = reply.get("usage") or {}
            return Completion(text, used.get("completion_tokens") or 0, used.get("prompt_tokens") or 0)
        except (ValueError, KeyError, IndexError, TypeError):
            fault = f"{self.base_url}: expected JSON with choices[0].message.content, got something else"
            raise SparringError(fault) from None
