from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from sparring.errors import SparringError, UserError
from sparring.protocols import Completion

from .base import Backend

if TYPE_CHECKING:
    import aiohttp

LONGEST_WAIT = 60.0  # seconds between two tries, whatever a server asks for


@dataclass(kw_only=True)
class OpenAI(Backend):
    """Any server with `/chat/completions` as OpenAI defined it: vLLM, llama.cpp, Ollama, or a hosted one.

    The key is read from the environment for each call and kept nowhere. A server may ignore `seed`.
    """

    name: ClassVar[str] = "openai"

    base_url: str = "http://localhost:8000/v1"
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: int = 16
    timeout: float = 120.0  # seconds a try
    retries: int = 5  # of a 429, a 5xx, a lost connection, a time-out
    backoff: float = 0.5  # seconds before the first retry; doubles each time

    def __post_init__(self) -> None:
        super().__post_init__()
        url = urlsplit(self.base_url)
        if url.scheme not in ("http", "https") or not url.hostname or url.password:
            raise UserError(
                f"expected base_url as http://HOST/v1 or https://HOST/v1, got one of scheme {url.scheme!r}. "
                f"Fix: correct it; a key belongs into the environment variable {self.api_key_env}"
            )

    def answer(self, prompts: Sequence[tuple[str, str]], seeds: Sequence[int]) -> list[Completion]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._answer_all(prompts, seeds))
        with ThreadPoolExecutor(1) as thread:  # a loop runs here already, as in a notebook: ours gets its own thread
            return thread.submit(asyncio.run, self._answer_all(prompts, seeds)).result()

    async def _answer_all(self, prompts: Sequence[tuple[str, str]], seeds: Sequence[int]) -> list[Completion]:
        import aiohttp

        answers: list[Completion] = [Completion("", 0)] * len(prompts)
        work = iter(enumerate(zip(prompts, seeds, strict=True)))
        key = self._key
        options: dict[str, Any] = {
            "headers": {"Authorization": f"Bearer {key}"} if key else {},
            "timeout": aiohttp.ClientTimeout(total=self.timeout),
            "connector": aiohttp.TCPConnector(limit=self.concurrency),
        }

        async def worker(session: aiohttp.ClientSession) -> None:
            for i, (prompt, seed) in work:
                answers[i] = await self._ask(session, prompt, seed)

        try:
            async with aiohttp.ClientSession(**options) as session, asyncio.TaskGroup() as tasks:
                for _ in range(min(self.concurrency, len(prompts))):
                    tasks.create_task(worker(session))
        except ExceptionGroup as failed:  # the first failure cancelled the others
            raise failed.exceptions[0] from None
        return answers

    async def _ask(self, session: aiohttp.ClientSession, prompt: tuple[str, str], seed: int) -> Completion:
        import aiohttp

        url, rng, wait, said = f"{self.base_url.rstrip('/')}/chat/completions", Random(seed), 0.0, ""
        for i in range(self.retries + 1):
            await asyncio.sleep(min(wait, LONGEST_WAIT))
            # Spread, so that requests that were refused together do not come back together.
            wait = self.backoff * 2**i * rng.uniform(0.5, 1.5)
            try:
                async with session.post(url, json=self._body(prompt, seed)) as reply:
                    body = await reply.text()
                    if reply.status == 200:
                        return _completion(body, self.base_url)
                    said = f"status {reply.status} {self._without_key(_message(body))}".strip()
                    if reply.status not in (408, 429) and reply.status < 500:
                        raise UserError(f"{self.base_url}: expected an answer, got {said}. Fix: {self._fix(reply.status)}")
                    wait = _retry_after(reply.headers.get("Retry-After"), wait)
            except (TimeoutError, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
                said = str(error) or type(error).__name__
        raise SparringError(f"{self.base_url}: expected an answer within {self.retries + 1} tries; the last gave {said}")

    @property
    def _key(self) -> str:
        return os.environ.get(self.api_key_env, "").strip()

    def _body(self, prompt: tuple[str, str], seed: int) -> dict[str, Any]:
        system, user = prompt
        return {
            "model": self.model, "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "max_tokens": self.max_new_tokens, "temperature": self.temperature, "top_p": self.top_p, "seed": seed,
        }  # fmt: skip

    def _fix(self, status: int) -> str:
        known = {
            401: f"put a valid key into the environment variable {self.api_key_env}",
            403: f"check what the key in {self.api_key_env} may do",
            404: f"check base_url and the model's name {self.model!r}",
        }
        return known.get(status, "change the setting that the server names")

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def _completion(body: str, where: str) -> Completion:
    try:
        reply = json.loads(body)
        text = reply["choices"][0]["message"]["content"] or ""
        return Completion(text, (reply.get("usage") or {}).get("completion_tokens") or 0)
    except (ValueError, KeyError, IndexError, TypeError):
        raise SparringError(f"{where}: expected JSON with choices[0].message.content, got something else") from None


def _retry_after(header: str | None, wait: float) -> float:
    """The seconds that `Retry-After` asks for, as a number or a date; `wait` when it says nothing."""
    try:
        return max(float(header or ""), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(header or "").timestamp() - time.time(), 0.0)
    except ValueError:
        return wait


def _message(body: str) -> str:
    """What the server says is wrong, as OpenAI words it; nothing else of the body, which may repeat the prompt."""
    try:
        return str(json.loads(body)["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return ""
