"""Verdicts over HTTP against a server on loopback that gives log-probabilities as vLLM does."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator

import numpy as np
import pytest
from aiohttp import web

from sparring import registry
from sparring.errors import JobError, Refused, UserError

YES_NO = ("Yes", "No")


class Server:
    """`answers` maps a user's text to the listed tokens and their probabilities; the first of them is the one drawn."""

    def __init__(self, answers: dict[str, dict[str, float]]):
        self.answers, self.bodies = answers, []

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        await asyncio.sleep(0.01 * (len(self.bodies) % 3))
        if (said := body["messages"][-1]["content"]).startswith("status "):
            return web.json_response({"error": {"message": "no"}}, status=int(said.split()[1]))
        listed = self.answers.get(said)
        if listed is None:
            return web.json_response({"choices": [{"message": {"content": "Yes"}, "logprobs": None}]})
        top = [{"token": token, "logprob": math.log(p)} for token, p in listed.items()]
        return web.json_response({"choices": [{"logprobs": {"content": [{**top[0], "top_logprobs": top}]}}]})

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        return app


@pytest.fixture
def server(loopback) -> Iterator[Server]:
    running = Server(
        {
            "sure": {"Yes": 0.6, " Yes": 0.2, "No": 0.1, "yes": 0.05},
            "one": {"No": 0.97, "The": 0.02},
            "neither": {"I": 0.5, "Sorry": 0.3},
            "parts": {"uns": 0.7, "safe": 0.2, "un": 0.05},
        }
    )
    with loopback(running.app()) as url:
        running.url = f"{url}/v1"
        yield running


def model(server: Server, **settings):
    return registry.make("verdicts", "openai", **{"model": "tiny", "base_url": server.url, "backoff": 0.001} | settings)


def test_spellings_are_summed_and_the_order_is_kept(server):
    found = model(server).ask([("s", "sure"), ("s", "one"), ("s", "neither")] * 5, YES_NO)
    assert found.p[0].tolist() == pytest.approx([0.8, 0.1])
    assert found.p[3 * 4 + 1, 1] == pytest.approx(0.97)
    assert {body["max_tokens"] for body in server.bodies} == {1}
    assert all(body["logprobs"] and body["top_logprobs"] == 20 for body in server.bodies)


def test_an_answer_that_is_not_listed_has_its_bound(server):
    found = model(server, top=2).ask([("s", "one"), ("s", "neither")], YES_NO)
    assert found.p[0].tolist() == pytest.approx([0.01, 0.97]), "no more than what the listed ones leave"
    assert found.p[1].tolist() == pytest.approx([0.2, 0.2])
    assert found.listed.tolist() == [[False, True], [False, False]]
    assert found.share[1].tolist() == pytest.approx([0.5, 0.5])


def test_a_piece_of_a_word_stands_for_the_answer_that_it_begins(server):
    assert model(server).ask([("s", "parts")], ("unsafe", "safe")).p[0].tolist() == pytest.approx([0.75, 0.2])


def test_a_server_without_log_probabilities_is_said(server):
    with pytest.raises(UserError, match=r"top_logprobs, got something else\. Fix: a server"):
        model(server).ask([("s", "unknown")], YES_NO)


def test_what_a_server_cannot_do_is_said(server):
    with pytest.raises(JobError, match="answer that was begun"):
        model(server).ask([("s", "sure")], ("1", "2"), begun="unsafe\nS")
    with pytest.raises(JobError, match="concurrency"):
        model(server, concurrency=0)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_prompt_that_the_server_refuses_is_the_only_one_without_an_answer(server, status):
    found = model(server).ask([("s", "sure"), ("s", f"status {status}"), ("s", "one")], YES_NO)
    assert np.isnan(found.p).all(1).tolist() == [False, True, False]
    assert np.isnan(found.share).all(1).tolist() == [False, True, False]
    with pytest.raises(Refused) as error:
        model(server).ask([("s", f"status {status}")], YES_NO)
    assert error.value.exit_code == 2


def test_what_would_meet_every_prompt_ends_the_work_at_once(server):
    with pytest.raises(UserError, match="401") as error:
        model(server).ask([("s", "sure"), ("s", "status 401"), ("s", "one")], YES_NO)
    assert not isinstance(error.value, Refused)
