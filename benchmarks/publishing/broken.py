"""Pushes over a line that breaks: the real client, the tests' small hub on loopback, one fault a push."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import os
import pathlib
import runpy
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq

from benchmarks import shared
from sparring.policy import Policy
from sparring.record import SPLITS, real, synthetic

REPO = "ada/spam"
KINDS = ("create", "info", "refs", "tag", "preupload", "batch", "upload", "verify", "commit", "download")
FAULTS = (429, 500, 503, "reset", "lost")


def cases(rules: Policy, *, most: int) -> list[dict[str, Any]]:
    """Each case pushes a second dataset into a repository that holds one; `most` of them, 0 for all."""
    from huggingface_hub import constants

    os.environ |= {"HF_TOKEN": "hf_" + "x" * 34, "NO_PROXY": "127.0.0.1"}
    constants.HF_HUB_OFFLINE = False
    constants.HF_HUB_DISABLE_XET = True
    from sparring.publishing import push, remote, write

    remote.WAIT = 0.01
    time.sleep = lambda seconds: None  # nobody is spared here
    planned: list[tuple[str, Any]] = [(kind, fault) for kind in KINDS for fault in FAULTS]
    planned += [("moved", None), ("slow", 0.7), ("theirs", None)]
    planned = planned[:: max(1, len(planned) // most)] if most else planned
    found = []
    with tempfile.TemporaryDirectory() as place, _hub() as server:
        folders = [pathlib.Path(place) / name for name in ("first", "second", "third")]
        for folder in folders:
            write.write(folder, _rows(rules, folder.name), rules, name=folder.name, facts={})
        push.push(folders[0], REPO, endpoint=server.url)
        begun = copy.deepcopy((server.repos, server.objects))
        for kind, fault in planned:
            server.repos, server.objects = copy.deepcopy(begun)
            server.answers = {"commit": [fault]} if kind == "slow" else {kind: [fault]} if fault else {}
            remote.TIMEOUT = 0.3 if kind == "slow" else 120.0  # the answer comes when nobody listens any more
            wanted = folders[:2]
            if kind == "moved":
                server.meanwhile = _once(server, lambda repo: repo.add("main", repo.files | {"log.txt": b"x"}, "theirs"))
            elif kind == "theirs":
                wanted = folders
                server.meanwhile = _once(
                    server, lambda repo: _elsewhere(lambda: push.push(folders[2], REPO, endpoint=server.url))
                )
            push.push(folders[1], REPO, endpoint=server.url)
            for thread in threading.enumerate():
                if thread.name == "elsewhere":
                    thread.join()
            ids = Counter(_ids(server.repos[REPO].files))
            every = {id for folder in wanted for id in _ids({str(p): p.read_bytes() for p in folder.rglob("*.parquet")})}
            found.append({
                "case": f"{kind} {fault or ''}".strip(), "rows": len(every), "lost": len(every - ids.keys()),
                "duplicate": sum(ids.values()) - len(ids), "commits": len(server.repos[REPO].commits) - 2,
            })  # fmt: skip
    return found


def _rows(rules: Policy, note: str) -> Iterator[Any]:
    common = {"policy": rules.name, "policy_version": rules.version}
    for i in range(40):
        row = {"split": SPLITS[i % 4], "label_name": rules.labels[i % 2], "text": f"{note} {i}", **common}
        yield real(source=note, key=str(i), **row)
        yield synthetic(work=[note, i], round=i % 2, parent_ids=(f"{note}#{i}",), **row)


def _ids(files: dict[str, bytes]) -> list[str]:
    shards = [data for path, data in files.items() if path.endswith(".parquet") and "data" in pathlib.Path(path).parts]
    return [id for data in shards for id in pq.read_table(io.BytesIO(data), columns=["id"])["id"].to_pylist()]


def _once(server: Any, work: Any) -> Any:
    def meanwhile(repo: Any) -> None:
        server.meanwhile = lambda repo: None
        work(repo)

    return meanwhile


def _elsewhere(work: Any) -> None:
    threading.Thread(target=work, name="elsewhere").start()


@contextlib.contextmanager
def _hub() -> Iterator[Any]:
    from aiohttp import web

    server = runpy.run_path(str(shared.ROOT / "tests" / "sparring" / "publishing" / "hub_server.py"))["Hub"]()
    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = loop.run_until_complete(start())
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
