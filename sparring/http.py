"""JSON over HTTP: many requests at once, in order, tried again where that can help; no prompt and no key in an error."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from operator import length_hint
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from .errors import SparringError, UserError

if TYPE_CHECKING:
    import aiohttp

LONGEST_WAIT = 60.0  # seconds between two tries, whatever a server asks for

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: str


class NoReply(SparringError):
    """Every try failed in a way that may pass: a 408, a 429, a 5xx, a lost connection, a time-out."""


@dataclass(slots=True)
class Pace:
    """At most `rate` turns a second, over all that share it; None: no limit."""

    rate: float | None = None
    _next: float = 0.0

    async def turn(self) -> None:
        if self.rate:
            now = time.monotonic()
            mine = max(now, self._next)
            self._next = mine + 1 / self.rate
            await asyncio.sleep(mine - now)


def each(
    items: Iterable[Item],
    ask: Callable[[aiohttp.ClientSession, Item], Awaitable[Result]],
    *,
    concurrency: int,
    timeout: float,
    headers: Mapping[str, str],
    told: Callable[[int, Result], None] | None = None,
) -> list[Result]:
    """`ask` of every item, in order, at most `concurrency` at once; `timeout` in seconds. The first failure ends the others.

    The next item is taken when there is room for it. `told` hears each result with the item's number when it is there, and
    none is kept.
    """
    import aiohttp

    results: dict[int, Result] = {}
    came = told or results.__setitem__
    work = iter(enumerate(items))
    most = length_hint(items, concurrency)

    async def worker(session: aiohttp.ClientSession) -> None:
        for i, item in work:
            came(i, await ask(session, item))

    async def together() -> None:
        options: dict[str, Any] = {
            "headers": dict(headers),
            "timeout": aiohttp.ClientTimeout(total=timeout),
            "connector": aiohttp.TCPConnector(limit=concurrency),
        }
        async with aiohttp.ClientSession(**options) as session, asyncio.TaskGroup() as tasks:
            for _ in range(min(concurrency, most)):
                tasks.create_task(worker(session))

    try:
        _run(together())
    except ExceptionGroup as failed:  # the first failure cancelled the others
        raise failed.exceptions[0] from None
    return [results[i] for i in range(len(results))]


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:  # a loop runs here already, as in a notebook: ours gets its own thread
        return thread.submit(asyncio.run, work).result()


async def post(
    session: aiohttp.ClientSession, url: str, body: Any, *, retries: int, backoff: float, seed: Any, pace: Pace | None = None
) -> Reply:
    """The answer to a JSON body. `backoff` seconds before the first retry, doubled each time and spread by `seed`. Raises
    `NoReply`.

    A redirect is an answer and is not followed: it would take the headers, and the key in them, along.
    """
    import aiohttp

    wait, said = 0.0, ""
    lost = aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, aiohttp.ClientResponseError
    for i in range(retries + 1):
        if i:
            await asyncio.sleep(min(wait, LONGEST_WAIT))
        if pace:
            await pace.turn()
        try:
            async with session.post(url, json=body, allow_redirects=False) as reply:
                found = Reply(reply.status, await reply.text(errors="replace"))
                if found.status not in (408, 429) and found.status < 500:
                    return found
                said = f"status {found.status} {message(found.body)}".strip()
                wait = retry_after(reply.headers.get("Retry-After"), _spread(backoff * 2**i, seed, i))
        except (TimeoutError, *lost) as error:
            said, wait = str(error) or type(error).__name__, _spread(backoff * 2**i, seed, i)
    raise NoReply(f"expected an answer within {retries + 1} tries; the last gave {said}")


def check_url(url: str, *, setting: str, fix: str) -> None:
    """Raises `UserError` for what is no http(s) URL or holds a password; the URL itself is not repeated."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.password:
        raise UserError(
            f"expected {setting} as http://HOST/PATH or https://HOST/PATH, got one of scheme {parts.scheme!r}. "
            f"Fix: correct it; {fix}"
        )


def message(body: str) -> str:
    """What the server says is wrong, as OpenAI words it; nothing else of the body, which may repeat the prompt."""
    try:
        return str(json.loads(body)["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return ""


def _spread(wait: float, seed: Any, i: int) -> float:
    """Requests that were refused together are not to come back together."""
    return wait * Random(f"{seed} {i}").uniform(0.5, 1.5)


def retry_after(header: str | None, wait: float) -> float:
    """The seconds that `Retry-After` asks for, as a number or a date; `wait` when it says nothing."""
    try:
        return max(float(header or ""), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(header or "").timestamp() - time.time(), 0.0)
    except ValueError:
        return wait
