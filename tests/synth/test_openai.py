from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from aiohttp import web

from sparring import registry
from sparring.errors import JobError, SparringError, UserError

KEY = "sk-very-secret-42"


class Server:
    """An OpenAI-compatible server on loopback. `faults` maps the number of a request to what happens to it."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        self.headers: list[str | None] = []
        self.faults: dict[int, object] = {}
        self.delay = 0.0
        self.busy = self.most_busy = 0

    async def answer(self, request: web.Request) -> web.Response:
        number = len(self.bodies)
        self.bodies.append(await request.json())
        self.headers.append(request.headers.get("Authorization"))
        fault = self.faults.get(number, self.faults.get(-1))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            await asyncio.sleep(self.delay * (1 + number % 3))
            if fault == "reset":
                request.transport.abort()
            elif fault == "slow":
                await asyncio.sleep(5)
            elif isinstance(fault, web.Response):
                return web.Response(status=fault.status, body=fault.body, headers=fault.headers)
        finally:
            self.busy -= 1
        user = self.bodies[number]["messages"][1]["content"]
        reply = {"choices": [{"message": {"role": "assistant", "content": f"to {user}"}}], "usage": {"completion_tokens": 3}}
        return web.json_response(reply)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        return app


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, loopback) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    running = Server()
    with loopback(running.app()) as url:
        running.url = f"{url}/v1"
        yield running


def model(server: Server, **settings: object):
    return registry.make("text_model", "openai", **{"model": "tiny", "base_url": server.url, "backoff": 0.001} | settings)


def prompts(n: int) -> list[tuple[str, str]]:
    return [("be brief", f"prompt {i}") for i in range(n)]


def texts(n: int) -> list[str]:
    return [f"to prompt {i}" for i in range(n)]


def test_answers_keep_the_order_and_the_limit_of_concurrency(server: Server) -> None:
    server.delay = 0.01
    answers = model(server, concurrency=4).complete(prompts(40), seed=7)
    assert [a.text for a in answers] == texts(40)
    assert {a.tokens for a in answers} == {3}
    assert server.most_busy == 4
    assert len(server.bodies) == 40


def test_every_prompt_has_its_own_seed_and_the_settings(server: Server) -> None:
    written = model(server, temperature=0.5, top_p=0.8, max_new_tokens=9)
    written.complete(prompts(3), seed=7)
    written.complete(prompts(3)[::-1], seed=7)
    seed = {}
    for body in server.bodies:
        prompt = body["messages"][1]["content"]
        assert seed.setdefault(prompt, body["seed"]) == body["seed"]
        assert (body["model"], body["temperature"], body["top_p"], body["max_tokens"]) == ("tiny", 0.5, 0.8, 9)
    assert len(set(seed.values())) == 3
    assert set(server.headers) == {f"Bearer {KEY}"}


def test_no_key_no_header(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    model(server).complete(prompts(1), seed=0)
    assert server.headers == [None]


def test_passing_faults_are_tried_again(server: Server) -> None:
    server.faults = {
        0: web.Response(status=429, headers={"Retry-After": "0"}),
        1: web.Response(status=500),
        2: "reset",
        3: "slow",
        4: web.Response(status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        5: web.Response(status=503, headers={"Retry-After": "soon"}),
    }
    answers = model(server, concurrency=2, timeout=0.5).complete(prompts(12), seed=0)
    assert [a.text for a in answers] == texts(12)
    assert len(server.bodies) == 18


def test_retry_after_is_waited_for(server: Server) -> None:
    server.faults = {0: web.Response(status=429, headers={"Retry-After": "0.3"})}
    started = time.monotonic()
    model(server).complete(prompts(1), seed=0)
    assert time.monotonic() - started > 0.3


def test_a_fault_that_stays_ends_the_work(server: Server) -> None:
    server.faults = {-1: web.Response(status=502)}
    with pytest.raises(SparringError, match="within 3 tries; the last gave status 502") as raised:
        model(server, retries=2).complete(prompts(1), seed=0)
    assert raised.value.exit_code == 1
    assert len(server.bodies) == 3


def test_a_wrong_key_is_one_clean_line_without_the_key(server: Server) -> None:
    said = f'{{"error": {{"message": "Incorrect API key provided: {KEY}."}}}}'
    server.faults = {-1: web.Response(status=401, text=said)}
    with pytest.raises(UserError) as raised:
        model(server, concurrency=3).complete(prompts(50), seed=0)
    message = str(raised.value)
    assert "status 401 Incorrect API key provided: ***." in message
    assert "OPENAI_API_KEY" in message
    assert KEY not in message
    assert "\n" not in message
    assert len(server.bodies) <= 6  # the others were not sent


def test_an_error_never_repeats_the_prompt(server: Server) -> None:
    server.faults = {-1: web.Response(status=400, text='{"detail": [{"input": "prompt 0"}]}')}
    with pytest.raises(UserError) as raised:
        model(server).complete(prompts(1), seed=0)
    assert "prompt 0" not in str(raised.value)


@pytest.mark.parametrize("body", ["<html>", "[]", '{"choices": []}'])
def test_something_else_than_an_answer(server: Server, body: str) -> None:
    server.faults = {-1: web.Response(status=200, text=body)}
    with pytest.raises(SparringError, match=r"expected JSON with choices\[0\]"):
        model(server).complete(prompts(1), seed=0)


def test_a_server_that_is_not_there() -> None:
    absent = registry.make("text_model", "openai", model="m", base_url="http://127.0.0.1:9/v1", backoff=0, retries=1)
    with pytest.raises(SparringError, match=r"Cannot connect to host 127\.0\.0\.1:9"):
        absent.complete(prompts(1), seed=0)


def test_the_key_is_never_shown(server: Server) -> None:
    shown = f"{model(server)!r} {vars(model(server))} {model(server).describe()}"
    assert KEY not in shown
    assert "api_key_env='OPENAI_API_KEY'" in shown
    with pytest.raises(UserError, match="base_url") as raised:
        model(server, base_url=f"https://me:{KEY}@example.com/v1")
    assert KEY not in str(raised.value)


def test_settings_that_make_no_sense(server: Server) -> None:
    with pytest.raises(JobError, match="expected concurrency of at least 1, got 0"):
        model(server, concurrency=0)
    with pytest.raises(JobError, match="top_p"):
        model(server, top_p=0)


def test_works_inside_a_running_loop(server: Server) -> None:
    async def notebook() -> list[str]:
        return [a.text for a in model(server).complete(prompts(2), seed=0)]

    assert asyncio.run(notebook()) == texts(2)


def test_a_request_costs_little_processor_time(server: Server) -> None:
    asked = model(server, concurrency=16)
    asked.complete(prompts(20), seed=0)
    started = time.thread_time()  # the client's thread alone
    asked.complete(prompts(300), seed=0)
    assert (time.thread_time() - started) / 300 < 0.003
