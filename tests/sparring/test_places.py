"""Runs in an object store, by moto's S3 server on loopback."""

from __future__ import annotations

import json
import pathlib
import shutil

import pyarrow.parquet as pq
import pytest

from sparring import jobs, lease, log, loop
from sparring.errors import JobError, MissingExtra, RunHeld, UserError
from sparring.mirror import Mirror
from sparring.places import Place
from sparring.record import digest
from sparring.shared_ledger import SharedLedger


@pytest.fixture(scope="module")
def server():
    from moto.server import ThreadedMotoServer

    made = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def store(server, monkeypatch, tmp_path):
    """The URL of a fresh bucket; the working directory is a machine without a run."""
    import s3fs

    host, port = server.get_host_and_port()
    settings = {
        "ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY_ID": "testing", "SECRET_ACCESS_KEY": "testing",
        "DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = digest(str(tmp_path))
    s3fs.S3FileSystem().mkdir(bucket)
    monkeypatch.chdir(tmp_path)
    return f"s3://{bucket}/runs"


def go(path, until=None):
    from cli import stages

    job = jobs.load(path)
    return loop.run(job, stages(job), lambda event: None, until=until)


def another_machine():
    shutil.rmtree("runs")


def units_made(folder):
    return sum(line["event"] == "unit" for line in log.read(folder))


def test_an_object_is_put_once_where_it_must_be_new(store):
    place = Place(store)
    assert place.get("a/b") is None
    assert place.names() == []
    assert place.put_new("a/b", b"one")
    assert not place.put_new("a/b", b"two")
    assert place.get("a/b") == b"one"
    place.put("a/b", b"three")
    place.put("c", b"")
    assert place.get("a/b") == b"three"
    assert place.names() == ["a/b", "c"]
    assert place.names("a") == ["a/b"]
    assert place.folders() == ["a", "c"]
    place.remove(["a/b", "a/none"])
    assert (place / "a").names() == []


def test_what_is_no_store_is_said(store, monkeypatch):
    import s3fs

    with pytest.raises(UserError, match="expected a store, found none named 'nowhere'"):
        Place("s3://nowhere/runs").check()
    with pytest.raises(JobError, match="sparring publish"):
        Place("hf://datasets/a/b")
    with pytest.raises(JobError, match="expected file://, memory://, s3:// or a path; got ftp://"):
        Place("ftp://somewhere/runs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(OSError, match="expected an answer of the store"):
        Place("s3://gone/runs").put("a", b"b")


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    def missing(url, **options):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(MissingExtra, match=r"pip install 'sparring\[s3\]'"):
        Place("s3://some/runs")


def test_a_run_in_a_store_goes_on_on_another_machine_and_has_the_same_rows(store, tiny_job, tmp_path):
    shared = {"synth": {"model": {"kind": "dummy"}, "samples": 40}, "retrain": "none"}
    here = go(tiny_job(runs=str(tmp_path / "here"), **shared))
    job = tiny_job(runs=store, **shared)
    folder = go(job, until=(0, "attack"))
    begun = units_made(folder)
    another_machine()
    folder = go(job)
    assert units_made(folder) == units_made(here), "the log came along, and no unit was made twice"
    assert 0 < begun < units_made(here)
    place = Place(store) / "tiny"
    commits = [json.loads(place.get(name)) for name in place.names("commits")]
    assert len({entry["path"] for entry in commits}) == len(commits) == units_made(here)
    another_machine()
    shards = [name for name in place.names() if name.endswith(".parquet")]
    assert shards == sorted(str(p.relative_to(here)) for p in here.rglob("*.parquet"))
    for name in shards:
        assert pq.read_table(f"{place.url.removeprefix('s3://')}/{name}", filesystem=place._fs).equals(
            pq.read_table(here / name)
        ), name
    assert place.get("report.html")
    before = units_made(go(job))
    assert before == units_made(here), "a finished run is brought, not made"


def test_a_store_that_lost_a_unit_has_it_made_again_and_one_that_lost_nothing_has_not(store, tiny_job):
    job = tiny_job(runs=store, retrain="none")
    folder = go(job, until=(0, "attack"))
    made = units_made(folder)
    another_machine()
    (Place(store) / "tiny").remove(["round-00/outcomes/test-00000.parquet"])
    folder = go(job, until=(0, "attack"))
    assert [e["unit"] for e in log.read(folder) if e["event"] == "made_again"] == ["round-00/outcomes/test-00000.parquet"]
    assert units_made(folder) == made + 1


def test_one_writer_by_the_lease_and_by_the_number_of_a_commit(store, monkeypatch, tmp_path):
    monkeypatch.setattr(lease, "STALE", 0.4)
    monkeypatch.setattr(lease, "BEAT", 0.05)
    place, events = Place(store) / "run", []

    def told(event, facts):
        events.append(event)

    (tmp_path / "x").write_bytes(b"x")
    one, two = Mirror(place, tmp_path), Mirror(place, tmp_path)
    with one.held(told):
        with pytest.raises(RunHeld, match=r"s3://.*is held by process \d+ on"), two.held(told):
            pass
        one.commit(0, {"path": "x"})
        with pytest.raises(RunHeld, match="commit 0 was made by another process"):
            one.commit(0, {"path": "x"})
    place.put("lease.json", b'{"token": "dead", "process": 1, "host": "gone", "beat": 3}')
    with two.held(told):
        place.put("lease.json", b'{"token": "other", "process": 1, "host": "gone", "beat": 3}')
        with pytest.raises(RunHeld, match="was taken over by process 1 on gone"):
            two.commit(1, {"path": "x"})
    assert events == ["lease_taken_over"]


def test_a_ledger_in_a_store_is_shared_by_machines_and_holds_what_a_kill_left_here(store, tmp_path):
    place = Place(store) / "ledger"
    keys = [digest(i) for i in range(600)]
    with SharedLedger(tmp_path / "a", place) as ledger:
        for key in keys[:500]:
            ledger.put(key, {"text": key})
        ledger.put(keys[500], {"text": "pictured"}, blobs={"image": b"pixels"})
    with SharedLedger(tmp_path / "b", place) as ledger:
        assert [ledger.get(key)["text"] for key in keys[:500]] == keys[:500]
        assert ledger.get(keys[500])["blobs"] == {"image": b"pixels"}
        assert ledger.get(keys[501]) is None
        ledger.put(keys[501], {"text": "of b"})
    lost = place.names("frames")[0]
    place.remove([lost])
    with SharedLedger(tmp_path / "b", place) as ledger, SharedLedger(tmp_path / "a", place) as first:
        assert len(ledger) == len(first) + (0 if lost in place.names("frames") else 1) or len(first) == 502
        assert first.get(keys[501]) == {"text": "of b"}
    assert lost in place.names("frames"), "put again by whoever has it"
    assert pathlib.Path(tmp_path / "a" / "brought").is_dir()


def test_a_series_is_numbered_by_what_the_store_holds(store, tiny_job):
    job = tiny_job(runs=store, series=True)
    place = Place(store)
    assert jobs.load(job, fresh=True).name == "tiny-0001"
    place.put("tiny-0001/manifest.json", b"{}")
    assert jobs.load(job, fresh=True).name == "tiny-0001"
    place.put("tiny-0001/summary.json", b"{}")
    assert jobs.load(job, fresh=True).name == "tiny-0002"
    assert jobs.load(job).name == "tiny-0001"
