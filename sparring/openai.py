"""A server that speaks as OpenAI's does. The key is read from the environment for each call and kept nowhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from . import http
from .errors import Refused, Unanswered, UserError

if TYPE_CHECKING:
    import aiohttp

Answer = TypeVar("Answer")

REFUSALS = (400, 413, 422)  # of this request; others may be answered


@dataclass(kw_only=True)
class Server:
    """A base for dataclasses that speak to such a server; `post` sends."""

    model: str
    base_url: str = "http://localhost:8000/v1"
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: int = 16
    timeout: float = 120.0  # seconds a try
    retries: int = 5  # of a 429, a 5xx, a lost connection, a time-out
    backoff: float = 0.5  # seconds before the first retry; doubles each time

    def check_url(self) -> None:
        fix = f"a key belongs into the environment variable {self.api_key_env}"
        http.check_url(self.base_url, setting="base_url", fix=fix)

    def post(
        self, path: str, bodies: Iterable[dict[str, Any]], read: Callable[[str], Answer],
        told: Callable[[int, Answer], None] | None = None, unanswered: Answer | None = None,
    ) -> list[Answer]:  # fmt: skip
        """What `read` makes of the answer to each body, in order; with `told` each is told when it is there, by the number of
        its body, and none is kept.

        Raises `Refused` where the server refuses a request and `Unanswered` when it does not answer; with `unanswered` that
        stands in their place, unless all went so. Raises `UserError` for what would meet every request.
        """
        url = f"{self.base_url.rstrip('/')}/{path}"
        faults: list[Unanswered] = []
        sound = False

        async def ask(session: aiohttp.ClientSession, work: tuple[int, dict[str, Any]]) -> Answer:
            number, body = work
            try:
                reply = await http.post(session, url, body, retries=self.retries, backoff=self.backoff, seed=number)
            except http.NoReply as error:
                raise Unanswered(f"{self.base_url}: {self._without_key(str(error))}") from None
            if reply.status != 200:
                said = f"status {reply.status} {self._without_key(http.message(reply.body))}".strip()
                kind = Refused if reply.status in REFUSALS else UserError
                raise kind(f"{self.base_url}: expected an answer, got {said}. Fix: {self._fix(reply.status)}")
            return read(reply.body)

        async def spared(session: aiohttp.ClientSession, work: tuple[int, dict[str, Any]]) -> Answer:
            nonlocal sound
            try:
                found = await ask(session, work)
            except Unanswered as fault:
                if unanswered is None:
                    raise
                faults.append(fault)
                return unanswered
            sound = True
            return found

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        limits: dict[str, Any] = {"concurrency": self.concurrency, "timeout": self.timeout}
        found = http.each(enumerate(bodies), spared, headers=headers, told=told, **limits)
        if faults and not sound:
            raise faults[0]
        return found

    @property
    def _key(self) -> str:
        return os.environ.get(self.api_key_env, "").strip()

    def _fix(self, status: int) -> str:
        known = {
            401: f"put a valid key into the environment variable {self.api_key_env}",
            403: f"check what the key in {self.api_key_env} may do",
            404: f"check base_url and the model's name {self.model!r}",
        }
        return known.get(status, "change the setting that the server names")

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text
