"""The work that is measured: many prompts to one server, by the backend and its ledger, and by bare aiohttp.

python benchmarks/generating/writing.py URL FOLDER N FLYING    # writes until it is done, or killed
"""

from __future__ import annotations

import asyncio
import pathlib
import sys
import time
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sparring.custody import is_prohibited
from sparring.generation import asked
from sparring.ledger import Ledger
from sparring.remembered import Remembered
from sparring.store import open_run
from synth.backends.openai import OpenAI
from synth.stage import SHARD

MODEL = {"max_new_tokens": 80, "temperature": 0.9, "top_p": 0.95}


def prompts(n: int) -> list[tuple[str, str]]:
    system = "You rewrite messages. They break this rule: Tells the reader to call, text or reply to claim a prize."
    return [
        (system, f"Rewrite this message with new words. Make it short.\n\nMessage {i}. {'Claim it now. ' * 6}")
        for i in range(n)
    ]


def backend(url: str, flying: int) -> OpenAI:
    return OpenAI(model="m", base_url=f"{url}/v1", concurrency=flying, **MODEL)


def remembered(url: str, folder: pathlib.Path, n: int, flying: int) -> None:
    """As `sparring synth` asks: through the ledger, every answer on the disk when it returns."""
    with Ledger(folder) as ledger:
        Remembered(backend(url, flying), ledger).ahead(prompts(n), [1] * n, told=lambda i, answer: None)


def alone(url: str, n: int, flying: int) -> list[str]:
    """The backend without a ledger."""
    found: dict[int, str] = {}
    backend(url, flying).stream(asked(prompts(n), [1] * n), lambda i, answer: found.update({i: answer.text}))
    return [found[i] for i in range(n)]


def bare(url: str, n: int, flying: int) -> list[str]:
    """aiohttp by hand: the same bodies, as many at once."""
    import aiohttp

    found: dict[int, str] = {}
    work = iter(enumerate(prompts(n)))

    async def worker(session: aiohttp.ClientSession) -> None:
        for i, (system, user) in work:
            messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
            body = {"model": "m", "messages": messages, "max_tokens": 80, "temperature": 0.9, "top_p": 0.95, "seed": i}
            async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
                found[i] = (await reply.json())["choices"][0]["message"]["content"]

    async def together() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=flying)) as session:
            await asyncio.gather(*(worker(session) for _ in range(flying)))

    asyncio.run(together())
    return [found[i] for i in range(n)]


def durable(url: str, folder: pathlib.Path, n: int, flying: int) -> None:
    """Texts into shards as a run has them: ledger, synced shards, commits."""
    with open_run(folder / "run", {}) as run, Ledger(folder / "ledger") as ledger:
        model, wanted = Remembered(backend(url, flying), ledger), prompts(n)
        model.ahead(wanted, [1] * n, told=lambda i, answer: None)
        for start in range(0, n, SHARD):

            def make(start: int = start) -> pa.Table:
                return table([a.text for a in model.complete(wanted[start : start + SHARD], seed=1)])

            run.table(f"raw-{start:06d}.parquet", start, make)


def fleeting(url: str, folder: pathlib.Path, n: int, flying: int) -> None:
    """The same texts, screened as the durable ones are, and shards; nothing synced and nothing to resume from."""
    folder.mkdir()
    texts = alone(url, n, flying)
    assert not any(map(is_prohibited, texts))
    for start in range(0, n, SHARD):
        pq.write_table(table(texts[start : start + SHARD]), folder / f"raw-{start:06d}.parquet", compression="zstd")
        pq.read_table(folder / f"raw-{start:06d}.parquet")


def table(texts: list[str]) -> pa.Table:
    return pa.table({"text": texts})


def timed(work: Any, *args: Any) -> dict[str, float]:
    """Seconds of CPU (all threads of this process) and of wall time."""
    wall, cpu = time.perf_counter(), time.process_time()
    work(*args)
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}


if __name__ == "__main__":
    url, folder, n, flying = sys.argv[1:]
    remembered(url, pathlib.Path(folder), int(n), int(flying))
