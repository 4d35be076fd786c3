from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pydantic

from .. import http, jsonpath
from ..errors import JobError, TargetFailed, UserError
from ..jobs import Count, Positive
from .fixed import FixedTarget
from .scores import Scores, check_classes

if TYPE_CHECKING:
    import aiohttp

PROBE = "hello"  # asked when a request has failed, to tell a text that cannot be answered from an endpoint that cannot
OPENAI = "https://api.openai.com/v1/moderations"
OPENAI_CLASSES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/intent", "self-harm/instructions", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "openai-moderation": {
        "url": OPENAI,
        "request": {"model": "omni-moderation-latest", "input": "{texts}"},
        "scores": {name: f'results[*].category_scores["{name}"]' for name in OPENAI_CLASSES},
    },
}
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SECRET = re.compile(r"authorization|key|token|secret|password|cookie", re.IGNORECASE)


class HttpTarget(FixedTarget):
    """A classifier behind a URL that takes JSON by POST and answers with scores in JSON.

    `request` is the body, with "{text}" in some string (one text a request) or "{texts}" as a whole string (a list of up to
    `batch_size`); `scores` says for each class where in the answer its score stands (`sparring/jsonpath.py`), with `[*]`
    for the list's texts. Scores are divided by `maximum`. `shape: openai-moderation` sets `url`, `request` and `scores`.
    Headers and URL take secrets as `${VARIABLE}` from the environment alone. `rate` is in requests a second.

    A 408, a 429, a 5xx, a lost connection and a time-out are tried again, `retries` times. A text that still cannot be
    answered, where others and a harmless one can, is a row of NaN; a 401, a 403 and a 404 end the work at once.
    """

    kind = "http"

    class Settings(FixedTarget.Settings):
        shape: Literal["openai-moderation"] | None = None
        url: str = ""
        request: dict[str, Any] | list[Any] = pydantic.Field({})
        scores: dict[str, str] = pydantic.Field({})
        headers: dict[str, str] = pydantic.Field({})
        maximum: Positive = 1.0
        batch_size: Count = 32
        concurrency: Count = 8
        rate: Positive | None = None
        timeout: Positive = 30.0  # seconds a try
        retries: Annotated[int, pydantic.Field(ge=0)] = 5
        backoff: Annotated[float, pydantic.Field(ge=0)] = 0.5  # seconds before the first retry; doubles each time

        @pydantic.model_validator(mode="before")
        @classmethod
        def _shaped(cls, found: Any) -> Any:
            shape = SHAPES.get(str(found.get("shape")), {}) if isinstance(found, dict) else {}
            if not shape:
                return found
            ours = found.get("url", OPENAI) == OPENAI  # the key goes to no other host
            return {**({"headers": {"Authorization": "Bearer ${OPENAI_API_KEY}"}} if ours else {}), **shape, **found}

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        s = self.settings
        self._paths = {name: _parsed(path, self.who) for name, path in s.scores.items()}
        self._many = _placeholder(s.request, self.who) == "{texts}"
        self._pace = http.Pace(s.rate)
        check_classes(s.labels or {}, s.thresholds, tuple(s.scores), self.who)
        if not s.url or not s.scores:
            raise JobError(f"{self.who}: expected `url`, `request` and `scores`, or a `shape`; see docs/targets.md")
        for name, path in self._paths.items():
            if path.many != self._many:
                wanted = "a path with [*]" if self._many else "a path without [*]"
                placeholder = "{texts}" if self._many else "{text}"
                raise JobError(f"{self.who}: `request` holds {placeholder}; expected {wanted} for {name}, got {path.text!r}")
        query = parse_qsl(urlsplit(s.url).query)
        for name, value in [*s.headers.items(), *query]:
            if _SECRET.search(name) and not _VARIABLE.search(value):
                raise JobError(
                    f"{self.who}: {name} holds a secret, and a job file is no place for one. "
                    f"Fix: put it into an environment variable and write {name}: ${{VARIABLE}}"
                )

    def check(self, names: tuple[str, ...]) -> None:
        super().check(names)
        http.check_url(self._filled(self.settings.url), setting="url", fix="a key belongs into an environment variable")
        for value in self.settings.headers.values():
            self._filled(value)

    def score(self, texts: list[str]) -> Scores:
        s = self.settings
        classes = [name for name in s.scores if s.labels is None or name in s.labels]
        headers = {name: self._filled(value) for name, value in s.headers.items()}
        call = _Call(self, self._filled(s.url), classes)
        size = s.batch_size if self._many else 1
        chunks = [texts[i : i + size] for i in range(0, len(texts), size)]
        found = http.each(chunks, call.ask, concurrency=s.concurrency, timeout=s.timeout, headers=headers)
        return Scores(tuple(classes), np.concatenate(found) / s.maximum)

    def _filled(self, text: str) -> str:
        """With the environment's values for ${VARIABLE}."""
        for name in _VARIABLE.findall(text):
            if not os.environ.get(name, "").strip():
                raise UserError(f"{self.who}: expected the environment variable {name}, it is not set. Fix: export {name}=...")
        return _VARIABLE.sub(lambda m: os.environ[m[1]].strip(), text)

    def hide(self, said: str) -> str:
        """Without the secrets."""
        s = self.settings
        for name in {n for text in (s.url, *s.headers.values()) for n in _VARIABLE.findall(text)}:
            said = said.replace(os.environ.get(name, "").strip() or "\0", "***")
        return said


class _Failed(Exception):
    """One request got no scores; says why."""


class _Call:
    """One `score` of a target: what its requests share."""

    def __init__(self, target: HttpTarget, url: str, classes: list[str]):
        self.target, self.url, self.s = target, url, target.settings
        self.paths = [target._paths[name] for name in classes]
        self.works = False  # the endpoint has answered a harmless text

    async def ask(self, session: aiohttp.ClientSession, texts: list[str]) -> np.ndarray:
        """(len(texts), c); rows of NaN for texts that cannot be answered."""
        try:
            return await self._once(session, texts, retries=self.s.retries)
        except _Failed as fault:
            if not self.works:
                await self._probe(session, fault)
            return await self._apart(session, texts)

    async def _probe(self, session: aiohttp.ClientSession, fault: _Failed) -> None:
        try:
            await self._once(session, [PROBE], retries=self.s.retries)
        except _Failed:
            raise TargetFailed(f"{self.target.who}: {self.target.hide(str(fault))}") from None
        self.works = True

    async def _apart(self, session: aiohttp.ClientSession, texts: list[str]) -> np.ndarray:
        """Halves, and halves of these, until what cannot be answered stands alone."""
        if len(texts) == 1:
            return np.full((1, len(self.paths)), np.nan)
        rows = []
        for half in (texts[: len(texts) // 2], texts[len(texts) // 2 :]):
            try:
                rows.append(await self._once(session, half, retries=min(1, self.s.retries)))
            except _Failed:
                rows.append(await self._apart(session, half))
        return np.concatenate(rows)

    async def _once(self, session: aiohttp.ClientSession, texts: list[str], *, retries: int) -> np.ndarray:
        body = _fill(self.s.request, texts)
        try:
            reply = await http.post(
                session, self.url, body, retries=retries, backoff=self.s.backoff, seed=texts[0], pace=self.target._pace
            )
        except http.NoReply as error:
            raise _Failed(str(error)) from None
        if reply.status in (401, 403, 404) or 300 <= reply.status < 400:
            said = f"status {reply.status} {self.target.hide(http.message(reply.body))}".strip()
            raise UserError(f"{self.target.who}: expected an answer, got {said}. Fix: {self._fix(reply.status)}")
        if reply.status >= 300:
            said = f"status {reply.status} {http.message(reply.body)}".strip()
            raise _Failed(f"expected an answer, got {said}. Fix: `request`, as the service wants it")
        return self._values(reply.body, len(texts))

    def _values(self, body: str, n: int) -> np.ndarray:
        try:
            answer = json.loads(body)
            found = [path.find(answer) for path in self.paths]
            values = np.array([each if path.many else [each] for each, path in zip(found, self.paths, strict=True)], np.float64)
        except jsonpath.NotThere as error:
            raise _Failed(f"expected a score at {error}. Fix: `scores`") from None
        except (TypeError, ValueError):
            raise _Failed("expected JSON with numbers where `scores` says, got something else") from None
        if values.shape[1] != n:
            raise _Failed(f"expected an answer for each of {n} texts, got {values.shape[1]}. Fix: `scores`, or `batch_size: 1`")
        return values.T

    def _fix(self, status: int) -> str:
        names = ", ".join(n for value in (self.s.url, *self.s.headers.values()) for n in _VARIABLE.findall(value))
        known = {
            401: f"put a valid key into {names}" if names else "`headers`, with the key as ${VARIABLE}",
            403: f"check what the key in {names} may do" if names else "`headers`, with the key as ${VARIABLE}",
            404: "check `url`, and the model that `request` names",
        }
        return known.get(status, "`url`: the address that the server redirects to")


def _parsed(path: str, who: str) -> jsonpath.Path:
    try:
        return jsonpath.parse(path)
    except ValueError as error:
        raise JobError(f"{who}: `scores`: {error}") from None


def _strings(template: Any) -> list[str]:
    if isinstance(template, Mapping):
        return [s for value in template.values() for s in _strings(value)]
    if isinstance(template, list):
        return [s for value in template for s in _strings(value)]
    return [template] if isinstance(template, str) else []


def _placeholder(template: Any, who: str) -> str:
    strings = _strings(template)
    many, one = [s for s in strings if s == "{texts}"], [s for s in strings if "{text}" in s]
    if bool(many) == bool(one):
        raise JobError(f'{who}: expected either "{{text}}" within a string of `request` or "{{texts}}" as a whole one')
    return "{texts}" if many else "{text}"


def _fill(template: Any, texts: list[str]) -> Any:
    """The template with the texts, or the first of them, in their place; nothing else in it is touched."""
    if isinstance(template, Mapping):
        return {key: _fill(value, texts) for key, value in template.items()}
    if isinstance(template, list):
        return [_fill(value, texts) for value in template]
    if template == "{texts}":
        return texts
    return template.replace("{text}", texts[0]) if isinstance(template, str) else template
