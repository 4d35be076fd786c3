"""A real Ray cluster of four nodes on this machine: what a worker, a node and a wrong piece of work may do to a run."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web
from typer.testing import CliRunner

import cli
from mining.duplicates import minhash
from mining.labels import views
from sparring import engines, jobs, registry, stored
from sparring.embed import DummyEmbedder
from sparring.engines.ray import Ray
from sparring.errors import MissingExtra, SparringError
from sparring.publishing import beside

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    """The head, with the driver, does no work; three nodes do a piece each, until `kill_one` takes one of them."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}  # it starves on a busy machine else
    small = {"object_store_memory": 80_000_000, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    work = [made.add_node(num_cpus=1, object_store_memory=80_000_000) for _ in range(3)]
    made.kill_one = lambda: made.remove_node(work.pop(), allow_graceful=False)  # as by a loss of power
    ray.init(address=made.address, logging_level="ERROR", log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def engine(cluster):
    told: list[tuple[str, dict]] = []
    made = registry.make("engine", "ray")
    with engines.using(made, lambda event, facts: told.append((event, dict(facts)))):
        made.told = told
        yield made


def alive() -> list[dict]:
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def until(true, seconds: float = 90) -> None:
    """Waits for what the cluster notices in its own time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_node_that_dies_while_it_works_costs_nothing_but_its_pieces(cluster, engine, tmp_path):
    done = tmp_path / "done"
    done.mkdir()

    def work(item):
        time.sleep(0.25)
        (done / f"{item}-{os.getpid()}-{time.monotonic_ns()}").touch()
        return item * item

    came = Counter()
    for number, result in engine.each(work, range(40)):
        assert result == number * number
        came[number] += 1
        if len(came) == 5:
            cluster.kill_one()
    assert came == Counter(range(40)), "none lost, none twice"
    redone = sum(1 for _ in done.iterdir()) - 40
    assert redone <= 10, "no more than what the lost worker had or what it had not handed over"
    until(lambda: len(alive()) == 3)
    list(engine.each(work, range(2)))  # a quick map may be over before the cluster knows: the next one says so
    events = dict(engine.told)
    assert events["workers"]["nodes"] == 4
    assert events["node_lost"]["nodes"] == 3
    assert events["node_lost"]["host"]


def test_what_is_wrong_comes_back_as_it_was_raised(engine):
    def work(item):
        if item == 3:
            raise MissingExtra("this", "that", "ray")
        return item

    with pytest.raises(MissingExtra, match=r"this needs the package that.*sparring\[ray\]"):
        list(engine.each(work, [1, 3]))


def test_a_piece_that_kills_every_worker_ends_the_run(engine, monkeypatch):
    def work(item):
        if item == 5:
            os._exit(1)  # as the kernel does when memory runs out
        return item

    monkeypatch.setattr("sparring.engines.ray.TRIES", 2)
    with pytest.raises(SparringError, match="its worker died"):
        list(engine.each(work, [5, 1]))


def test_nothing_is_begun_after_a_stop_and_what_is_under_way_is_told(engine, tmp_path):
    def work(item):
        time.sleep(0.1)
        (tmp_path / str(item)).touch()
        return item

    came: list[int] = []
    for number, _ in engine.each(work, range(60), stop=lambda: len(came) >= 5):
        came.append(number)
    begun = {int(path.name) for path in tmp_path.iterdir()}
    assert set(came) == begun
    assert 5 <= len(begun) < 30


def test_vectors_and_order_are_those_of_one_process(engine):
    texts = [f"text number {i} of many" for i in range(3000)]
    model = DummyEmbedder()
    assert np.array_equal(engine.encode(model, texts), model.encode(texts))
    assert len(engine.told) == 1, "no alarm where nothing was lost"


def test_mining_by_command_has_the_same_verdicts_as_on_one_machine(cluster, tmp_path, monkeypatch):
    for part, name, least in ((minhash, "FEW", 0), (views, "SPREAD", 0), (stored, "BATCH", 512)):
        monkeypatch.setattr(part, name, least)  # else so few rows stay with the driver
    rng = random.Random(0)
    words = {
        "ham": "see you at home later tonight thanks for lunch".split(),
        "spam": "free prize claim now win cash urgent".split(),
    }
    rows = [(" ".join(rng.choices(words[name], k=12)) + f" {i}", name) for i in range(1500) for name in words]
    rows += [(f"{text.upper()}!", name) for text, name in rows[:200]]
    for i in range(0, 3000, 60):
        rows[i] = (rows[i][0], "spam" if rows[i][1] == "ham" else "ham")
    texts, labels = zip(*rows, strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / "rows.parquet")
    spread, before, found = [], Ray._spread, {}
    monkeypatch.setattr(Ray, "_spread", lambda self, work, *args: spread.append(work) or before(self, work, *args))
    for engine in ("local", "ray"):
        asked = ["mine", str(tmp_path / "rows.parquet"), "--labels", "label", "--embedder", "dummy", "--plantings", "0"]
        done = CliRunner().invoke(
            cli.app, [*asked, "--engine", engine, "--out", str(tmp_path / engine)], catch_exceptions=False
        )
        assert done.exit_code == 0, done.output
        found[engine] = pq.read_table(tmp_path / engine / "mined.parquet")
    assert len(spread) >= 3, "embedding, views and duplicates went to the cluster"
    assert found["local"].equals(found["ray"])
    verdicts = Counter(found["ray"]["verdict"].to_pylist())
    assert verdicts["duplicate"] >= 190
    assert verdicts["mislabelled"] >= 25


class Server:
    """Answers each prompt with a spam of its own; calls `at` when it has answered so many."""

    def __init__(self):
        self.asked, self.at, self.call = Counter(), 0, lambda: None

    async def answer(self, request):
        body = await request.text()
        self.asked[body] += 1
        if self.asked.total() == self.at:
            threading.Thread(target=self.call).start()
        rng = __import__("random").Random(body)
        text = f"WINNER! Call 0{rng.randint(8 * 10**9, 9 * 10**9)} to claim {rng.randbytes(12).hex()} now."
        return web.json_response({"choices": [{"message": {"content": text}}], "usage": {"completion_tokens": 9}})

    def app(self):
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        return app


def test_a_job_has_the_same_rows_and_ids_on_a_cluster_that_loses_a_node(cluster, tiny_job, tmp_path, spar, loopback):
    server = Server()
    with loopback(server.app()) as url:
        model = {"kind": "openai", "model": "m", "base_url": f"{url}/v1", "concurrency": 8}
        shared = {"synth": {"model": model, "samples": 600}, "attack__train_seeds": 120, "retrain": "none"}
        alone = spar(tiny_job(runs=str(tmp_path / "alone"), **shared))
        once = server.asked.total()
        server.at, server.call, nodes = once + 100, cluster.kill_one, len(alive())
        spread = spar(tiny_job(runs=str(tmp_path / "spread"), engine="ray", **shared))
    until(lambda: len(alive()) == nodes - 1)
    assert len(server.asked) == once, "the same prompts"
    assert server.asked.total() - 2 * once <= 4 * 64, "asked again: what the lost worker had in hand"
    assert jobs.load(tmp_path / "job.yaml").engine.kind == "ray"
    events = Counter(line.split('"event": "')[1].split('"')[0] for line in (spread / "log.jsonl").read_text().splitlines())
    assert events["workers"] == 1
    assert events["node_lost"] <= 1, "unless the run was over before the cluster knew"
    shards = sorted(p.relative_to(alone) for p in alone.rglob("*.parquet"))
    assert len(shards) > 12
    assert shards == sorted(p.relative_to(spread) for p in spread.rglob("*.parquet"))
    for shard in shards:
        one, other = pq.read_table(alone / shard), pq.read_table(spread / shard)
        assert one.equals(other), shard
        if "id" in one.column_names and "mined" not in shard.parts:
            keys = beside.KEYS.get(shard.parent.name, ["id"])
            kept = [tuple(row.values()) for row in other.select(keys).to_pylist()]
            assert len(set(kept)) == len(kept) or "raw" in shard.name, shard
