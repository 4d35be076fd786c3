"""What needs no cluster: settings, what is sent and what comes back, and that stages find the engine of their job."""

from __future__ import annotations

import json
import pickle
import random
import threading
import types

import pyarrow.parquet as pq
import pytest

from sparring import engines, jobs, registry
from sparring.engines import ray as on_ray
from sparring.engines.ray_worker import Gate, Raised, fingerprint
from sparring.engines.work import Writing
from sparring.errors import JobError, MissingExtra, UserError
from sparring.generation import asked
from sparring.protocols import Completion


class Shuffled(engines.Local):
    """As a cluster: everything is handed out at once and comes back in any order."""

    spreads = True

    def each(self, work, items, *, few=1, stop=lambda: False):
        found = [(number, pickle.loads(pickle.dumps(work))(item)) for number, item in enumerate(items)]
        random.Random(0).shuffle(found)
        yield from found


class Target:
    def __init__(self, rate):
        self.settings = types.SimpleNamespace(rate=rate)


def test_a_job_names_its_engine_by_a_word_or_with_settings_and_is_the_same_job(tiny_job):
    local, ray = jobs.load(tiny_job()), jobs.load(tiny_job(engine="ray"))
    assert (local.engine.kind, ray.engine.kind) == ("local", "ray")
    assert jobs.load(tiny_job(engine={"kind": "ray", "workers": 3})).engine.settings == {"workers": 3}
    assert local.identity == ray.identity


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"workers": 0}, "workers above 0"),
        ({"cpus": -1}, "cpus above 0"),
        ({"gpus": -1}, "gpus of at least 0"),
        ({"x": 1}, "x"),
    ],
)
def test_wrong_settings_are_the_users_error(settings, said):
    with pytest.raises(JobError, match=said):
        registry.make("engine", "ray", **settings)


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(on_ray.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'sparring\[ray\]'"):
        registry.make("engine", "ray")


def test_results_are_put_in_order_and_the_engine_ends_with_its_block():
    engine = Shuffled()
    with engines.using(engine):
        found = list(engines.current().each(len, ["a" * i for i in range(50)]))
        assert [number for number, _ in found] != list(range(50))
        assert list(engines.in_order(found)) == list(range(50))
        assert engines.beside(Target(None)) is engine
        assert type(engines.beside(Target(5.0))) is engines.Local, "so many requests a second in all"
    assert type(engines.current()) is engines.Local


def test_a_stop_is_asked_before_each_piece():
    came = []
    for number, _ in engines.Local().each(str, range(10), stop=lambda: len(came) == 4):
        came.append(number)
    assert came == [0, 1, 2, 3]


def test_an_error_of_ours_travels_with_its_class_and_message():
    error = MissingExtra("this", "that", "ray")
    again = pickle.loads(pickle.dumps(Raised(error))).error
    assert type(again) is MissingExtra
    assert str(again) == str(error)
    assert again.exit_code == 2


def test_the_gate_counts_tries_and_shuts():
    gate = Gate(2)
    assert [gate.begin(7), gate.begin(7), gate.begin(7), gate.begin(8)] == ["begin", "begin", "deadly", "begin"]
    assert gate.again() == 1
    gate.shut()
    assert gate.begin(9) == "stop"


def test_what_cannot_be_sent_is_said_before_anything_starts():
    lock = threading.Lock()
    with pytest.raises(JobError, match=r"can't be sent to another process.*Fix: `engine: local`"):
        on_ray._packed(lambda: lock, "a piece of work")


def test_the_fingerprint_is_that_of_the_code():
    assert fingerprint() == fingerprint()
    assert len(fingerprint()) == 24


class Slow:
    """A language model without `stream`."""

    def complete(self, prompts, *, seed):
        return [Completion(f"{seed} {user}", 1) for _, user in prompts]


def test_a_piece_of_prompts_is_answered_in_order_by_a_model_of_either_sort():
    prompts = [("s", f"u{i}") for i in range(5)]
    piece = list(asked(prompts, [3, 4, 3, 4, 3])), dict(enumerate([3, 4, 3, 4, 3]))
    assert [c.text for c in Writing(Slow(), {})(piece)] == ["3 u0", "4 u1", "3 u2", "4 u3", "3 u4"]
    dummy = registry.make("text_model", "dummy")
    expected = [dummy.complete([prompt], seed=seed)[0] for prompt, seed in zip(prompts, [3, 4, 3, 4, 3], strict=True)]
    assert Writing(dummy, {})(piece) == expected


def test_an_error_on_the_way_is_the_users(tiny_job):
    with pytest.raises(JobError, match="expected a engine out of"):
        registry.make("engine", "spark")
    assert issubclass(JobError, UserError)


def test_a_run_whose_pieces_come_back_in_any_order_has_the_same_rows(tiny_job, tmp_path, spar, monkeypatch):
    shared = {"synth": {"model": {"kind": "dummy"}, "samples": 200}, "attack__train_seeds": 120, "retrain": "none"}
    alone = spar(tiny_job(runs=str(tmp_path / "alone"), **shared))
    monkeypatch.setattr(engines.Local, "each", Shuffled.each)
    monkeypatch.setattr(engines.Local, "spreads", True)
    spread = spar(tiny_job(runs=str(tmp_path / "spread"), **shared))
    shards = sorted(p.relative_to(alone) for p in alone.rglob("*.parquet"))
    assert len(shards) > 12
    for shard in shards:
        assert pq.read_table(alone / shard).equals(pq.read_table(spread / shard)), shard


def test_a_limit_on_queries_is_kept_by_units_beside_one_another(tiny_job, spar, monkeypatch):
    monkeypatch.setattr(engines.Local, "each", Shuffled.each)
    monkeypatch.setattr(engines.Local, "spreads", True)
    folder = spar(tiny_job(attack__train_seeds=120, limits={"queries": 1600}, retrain="none"))
    assert json.loads((folder / "summary.json").read_text())["stopped"]["limit"] == "queries"
    attacks = [p for p in folder.rglob("*.parquet") if p.parent.name in ("outcomes", "payoff")]
    asked = sum(sum(pq.read_table(path).column("queries").to_pylist()) for path in attacks)
    assert 800 < asked <= 1600 - 200, "of which warm-up takes 200"
