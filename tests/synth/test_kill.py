"""SIGKILL while a language model writes: what was finished is not asked for again, nothing is lost, nothing is there twice."""

from __future__ import annotations

import asyncio
import pathlib
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pyarrow.parquet as pq
import pytest
from aiohttp import web

from sparring.ledger import GROUP_ROWS

FLYING, SAMPLES, KILLS = 64, 1500, 2


class Server:
    """Answers with a spam of its own for each prompt, and counts."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.asked[body] += 1
        await asyncio.sleep(0.02)
        rng = random.Random(body)
        text = f"WINNER! Call 0{rng.randint(8 * 10**9, 9 * 10**9)} to claim {rng.randbytes(12).hex()} now."
        return web.json_response({"choices": [{"message": {"content": text}}], "usage": {"completion_tokens": 9}})

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        return app


def synth(job: pathlib.Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "sparring", "synth", str(job)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def rows(folder: pathlib.Path) -> list[dict]:
    return [row for path in sorted(folder.glob("round-00/synth/raw-*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.mark.slow
def test_a_kill_costs_what_was_in_flight_and_one_commit_group(tiny_job, tmp_path, loopback):
    server, rng = Server(), random.Random(0)
    with loopback(server.app()) as url:
        model = {"kind": "openai", "model": "m", "base_url": f"{url}/v1", "concurrency": FLYING}
        job = tiny_job(runs=str(tmp_path / "runs"), synth={"model": model, "samples": SAMPLES})
        for kill in range(KILLS):
            process = synth(job)
            while process.poll() is None and len(server.asked) < 400 + 500 * kill:
                time.sleep(0.005)
            time.sleep(rng.random() * 0.3)
            before = server.asked.total()
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert len(server.asked) < SAMPLES, "killed while it wrote"
            assert before > 0
        process = synth(job)
        assert process.wait() == 0, process.stderr.read().decode()
    redone = server.asked.total() - len(server.asked)
    assert redone <= KILLS * (FLYING + GROUP_ROWS)
    made = rows(tmp_path / "runs" / "tiny")
    assert len(made) == SAMPLES, "none lost"
    kept = [row["id"] for row in made if row["reason"] != "copy"]  # of two equal prompts the second is one
    assert len(set(kept)) == len(kept) > 0.9 * SAMPLES, "none twice"


@pytest.mark.slow
def test_another_run_with_the_same_prompts_asks_for_nothing_and_a_changed_one_for_everything(tiny_job, tmp_path, loopback):
    server = Server()
    with loopback(server.app()) as url:
        model = {"kind": "openai", "model": "m", "base_url": f"{url}/v1", "concurrency": FLYING}
        shared = {"runs": str(tmp_path / "runs"), "synth": {"model": model, "samples": 200}}
        assert synth(tiny_job(**shared)).wait() == 0
        first = server.asked.total()
        assert 180 < first <= 200, "a prompt that is there twice is asked once"
        assert synth(tiny_job(**shared, name="second")).wait() == 0
        assert server.asked.total() == first
        shared["synth"]["model"] = model | {"temperature": 0.5}
        assert synth(tiny_job(**shared, name="third")).wait() == 0
        assert server.asked.total() == 2 * first
    left, right = (rows(tmp_path / "runs" / name) for name in ("tiny", "second"))
    assert [row["text"] for row in left] == [row["text"] for row in right]
