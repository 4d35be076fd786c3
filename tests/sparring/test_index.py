from __future__ import annotations

import json
import multiprocessing

import numpy as np
import pytest

from sparring import index as module
from sparring.embed import unit
from sparring.errors import DataError
from sparring.index import Index


def rows(n: int, dim: int = 48, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal((30, dim))
    return unit((centre[rng.integers(0, 30, n)] + 0.7 * rng.standard_normal((n, dim))).astype(np.float32))


def share_found(index: Index, x: np.ndarray, queries: np.ndarray, k: int = 10) -> float:
    truth = np.argsort(-(queries @ x.T), axis=1)[:, :k]
    found = index.nearest(queries, k)[1]
    return float(np.mean([np.isin(t, f).mean() for t, f in zip(truth, found, strict=True)]))


def test_few_rows_are_searched_whole():
    x = rows(500)
    index = Index(x)
    assert (index.kind, index.recall, index.size, index.dim) == ("flat", 1.0, 500, 48)
    cosine, row = index.nearest(x[:20], 3)
    assert (row[:, 0] == np.arange(20)).all()
    assert np.allclose(cosine, -np.sort(-(x[:20] @ x.T))[:, :3], atol=1e-5)
    query, found = index.pairs(x, 0.7)
    want = np.argwhere(x @ x.T > 0.7)
    assert sorted(zip(query, found, strict=True)) == sorted(map(tuple, want))


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_the_recall_that_it_says_is_the_recall_that_it_has(kind):
    x = rows(6_000)
    for wanted in (0.5, 0.9, 0.99):
        index = Index(x, kind=kind, recall=wanted)
        assert index.kind == kind
        assert share_found(index, x, x[:1_000]) == pytest.approx(index.recall, abs=0.03)
        assert index.recall >= wanted - 0.03
    hasty = module.Shard(**(module.asdict(index._shards[0]) | {"effort": 1}))
    module._set(index._faiss[0], kind, hasty.effort)
    assert share_found(index, x, x[:1_000]) < index.recall - 0.05, "the effort is what makes the recall"


def test_the_kind_goes_by_size(monkeypatch):
    monkeypatch.setattr(module, "FLAT", 300)
    monkeypatch.setattr(module, "HNSW", 1_000)
    assert [Index(rows(n)).kind for n in (300, 900, 1_500)] == ["flat", "hnsw", "ivf"]
    assert "ivf, shards=1, recall=" in repr(Index(rows(1_500)))


def test_shards_answer_as_one(monkeypatch):
    x = rows(2_500)
    whole = Index(x)
    monkeypatch.setattr(module, "SHARD", 700)
    sharded = Index(x[:2_000])
    sharded.append(x[2_000:])
    assert sharded.size == 2_500
    assert len(sharded._shards) == 4
    for one, other in zip(whole.nearest(x[::50], 7), sharded.nearest(x[::50], 7), strict=True):
        assert np.allclose(one, other, atol=1e-6)
    assert sorted(zip(*sharded.pairs(x[:50], 0.7), strict=True)) == sorted(zip(*whole.pairs(x[:50], 0.7), strict=True))


def test_no_rows_and_fewer_rows_than_asked():
    empty = Index(np.zeros((0, 8), np.float32))
    assert (empty.nearest(np.eye(8, dtype=np.float32)[:2], 3)[1] == -1).all()
    assert len(empty.pairs(np.eye(8, dtype=np.float32), 0.5)[0]) == 0
    assert (empty.size, empty.recall) == (0, 1.0)
    assert Index(np.eye(8, dtype=np.float32)[:2]).nearest(np.eye(8, dtype=np.float32)[:1], 3)[1].tolist() == [[0, 1, -1]]


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf"])
def test_a_folder_gives_back_what_was_saved_and_what_was_appended(tmp_path, kind):
    x = rows(3_000)
    made = Index(x[:2_000], kind=kind)
    made.save(tmp_path / "i", model="m")
    opened = Index.open(tmp_path / "i", model="m")
    for one, other in zip(made.nearest(x[:30], 5), opened.nearest(x[:30], 5), strict=True):
        assert (one == other).all()
    assert opened.recall == made.recall
    opened.append(x[2_000:])
    again = Index.open(tmp_path / "i", model="m")
    assert again.size == 3_000
    assert (again.nearest(x[2_500:2_520], 1)[1][:, 0] == np.arange(2_500, 2_520)).all()


def test_a_memory_map_builds_the_same_index(tmp_path):
    x = rows(5_000)
    np.save(tmp_path / "x.npy", x)
    mapped = Index(np.load(tmp_path / "x.npy", mmap_mode="r"), kind="ivf")
    assert (mapped.nearest(x[:99], 5)[1] == Index(x, kind="ivf").nearest(x[:99], 5)[1]).all()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_cut_short_is_named(tmp_path, share):
    Index(rows(400)).save(tmp_path / "i", model="m")
    file = tmp_path / "i" / "shard-000000.faiss"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match=rf"shard-000000.faiss: expected {len(whole)} bytes, got .*cut short.*Fix"):
        Index.open(tmp_path / "i", model="m")


def test_a_damaged_file_of_the_right_size_and_one_that_is_gone(tmp_path):
    Index(rows(400)).save(tmp_path / "i", model="m")
    file = tmp_path / "i" / "shard-000000.faiss"
    file.write_bytes(b"\0" * file.stat().st_size)
    with pytest.raises(DataError, match="faiss cannot read it"):
        Index.open(tmp_path / "i", model="m")
    file.unlink()
    with pytest.raises(DataError, match="got 0"):
        Index.open(tmp_path / "i", model="m")
    (tmp_path / "i" / "index.json").write_text('{"format": 1, "mod')
    with pytest.raises(DataError, match="damaged"):
        Index.open(tmp_path / "i", model="m")
    with pytest.raises(DataError, match="found none"):
        Index.open(tmp_path / "nowhere", model="m")


def test_another_model_another_width_and_another_length(tmp_path):
    index = Index(rows(100))
    index.save(tmp_path / "i", model="minilm 1234")
    with pytest.raises(DataError, match=r"vectors of 'other', got one of 'minilm 1234'.*Fix"):
        Index.open(tmp_path / "i", model="other")
    with pytest.raises(DataError, match=r"expected vectors \(n, 48\).*got shape \(5, 9\)"):
        index.append(rows(5, 9))
    with pytest.raises(DataError, match=r"expected queries \(m, 48\)"):
        index.nearest(rows(5, 9), 1)
    with pytest.raises(DataError, match="row 3: expected a vector of length 1"):
        index.append(rows(5) * np.array([1, 1, 1, np.nan, 1], np.float32)[:, None])
    assert index.size == Index.open(tmp_path / "i", model="minilm 1234").size == 100, "a refused append leaves nothing"
    with pytest.raises(DataError, match="holds an index already"):
        index.save(tmp_path / "i", model="minilm 1234")


def test_a_shard_written_but_not_committed_is_ignored_and_a_stale_writer_is_refused(tmp_path):
    x = rows(300)
    Index(x[:100]).save(tmp_path / "i", model="m")
    (tmp_path / "i" / "shard-000001.faiss").write_bytes(b"half of a sha")
    one, other = (Index.open(tmp_path / "i", model="m") for _ in range(2))
    assert one.size == 100
    one.append(x[100:200])
    with pytest.raises(DataError, match="changed by another process"):
        other.append(x[200:])
    again = Index.open(tmp_path / "i", model="m")
    assert again.size == 200
    assert len(json.loads((tmp_path / "i" / "index.json").read_text())["shards"]) == 2
    assert again.nearest(x[150:151], 1)[1][0, 0] == 150


def _grow(folder):
    for i in range(1, 400):
        Index.open(folder, model="m").append(rows(20, seed=i))


def test_a_writer_killed_at_any_time_leaves_whole_appends(tmp_path):
    Index(rows(20)).save(tmp_path / "i", model="m")
    for wait in (0.3, 0.5):
        writer = multiprocessing.get_context("fork").Process(target=_grow, args=(tmp_path / "i",))
        writer.start()
        writer.join(wait)
        writer.kill()
        writer.join()
        found = Index.open(tmp_path / "i", model="m")
        assert found.size % 20 == 0
        assert found.nearest(rows(20), 1)[0].min() > 0.99
