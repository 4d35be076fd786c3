from __future__ import annotations

import multiprocessing
import pathlib
import shutil

import numpy as np
import pytest

from sparring.embed import DummyEmbedder
from sparring.errors import DataError
from sparring.stored import Stored, identity

TEXTS = ["win a free prize now", "see you at home", "win a free prize now", "", "ünïcode 日本", "a\0b"]


class Counting(DummyEmbedder):
    def __init__(self, name: str = "dummy-64"):
        self.name, self.asked = name, []

    def encode(self, texts):
        self.asked.extend(texts)
        return super().encode(texts)


def test_a_text_is_embedded_once_whichever_process_asks(tmp_path):
    first, second = Counting(), Counting()
    found = Stored(first, tmp_path).encode(TEXTS)
    assert sorted(first.asked) == sorted(set(TEXTS))
    again = Stored(second, tmp_path)
    assert len(again) == len(set(TEXTS))
    assert (again.encode(TEXTS) == found).all()
    assert second.asked == []
    assert np.allclose(found, DummyEmbedder().encode(TEXTS), atol=1e-6)
    assert again.encode([]).shape == (0, 64)
    more = again.encode(["new", *TEXTS[:2]])
    assert second.asked == ["new"]
    assert (more[1:] == found[:2]).all()


def test_rows_are_in_order_over_many_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("sparring.stored.BATCH", 7)
    texts = [f"text number {i} of many" for i in range(60)]
    store = Stored(DummyEmbedder(), tmp_path)
    for i in range(0, 60, 11):
        store.encode(texts[i : i + 13])
    order = np.random.default_rng(0).permutation(60)
    assert np.allclose(
        Stored(DummyEmbedder(), tmp_path).encode([texts[i] for i in order]), DummyEmbedder().encode(texts)[order]
    )


def test_another_model_misses_and_so_do_other_weights_under_the_same_path(tmp_path):
    Stored(Counting("a"), tmp_path / "s").encode(TEXTS)
    other = Counting("b")
    Stored(other, tmp_path / "s").encode(TEXTS)
    assert len(other.asked) == len(set(TEXTS))
    weights = tmp_path / "model"
    weights.write_bytes(b"one")
    one = Stored(Counting(str(weights)), tmp_path / "s")
    one.encode(TEXTS)
    weights.write_bytes(b"other")
    changed = Counting(str(weights))
    assert identity(changed) != one.model
    Stored(changed, tmp_path / "s").encode(TEXTS)
    assert len(changed.asked) == len(set(TEXTS))


def test_a_subfolder_of_another_model_is_refused(tmp_path):
    a, b = (Stored(Counting(name), tmp_path) for name in ("a", "b"))
    shutil.copy(b.folder / "model.json", a.folder / "model.json")
    with pytest.raises(DataError, match=r"expected embeddings of .*'a 64'.*found .*'b 64'.*Fix"):
        Stored(Counting("a"), tmp_path)


def shard(store: Stored, kind: str) -> pathlib.Path:
    return next(p for p in store.folder.glob("*.npy") if p.name.endswith(".digests.npy") == (kind == "digests"))


def test_a_half_written_shard_is_ignored(tmp_path):
    store = Stored(Counting(), tmp_path)
    store.encode(TEXTS)
    shard(store, "digests").rename(tmp_path / "aside")  # killed between the two files
    (store.folder / "abc.digests.npy.aside").write_bytes(b"\x93NUM")  # killed in the middle of one
    embedder = Counting()
    again = Stored(embedder, tmp_path)
    assert len(again) == 0
    assert np.allclose(again.encode(TEXTS), DummyEmbedder().encode(TEXTS), atol=1e-6)
    assert len(embedder.asked) == len(set(TEXTS))


@pytest.mark.parametrize("kind", ["vectors", "digests"])
@pytest.mark.parametrize("left", [0, 10, 150])
def test_a_shard_cut_short_afterwards_is_named(tmp_path, kind, left):
    store = Stored(Counting(), tmp_path)
    store.encode(TEXTS)
    path = shard(store, kind)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(DataError, match=rf"{path.name}: expected .*Fix"):
        Stored(Counting(), tmp_path)


def test_a_shard_of_another_width_is_named(tmp_path):
    store = Stored(Counting(), tmp_path)
    store.encode(TEXTS)
    np.save(shard(store, "vectors"), np.zeros((len(store), 3), np.float32))
    with pytest.raises(DataError, match=r"got shape \(5, 3\)"):
        Stored(Counting(), tmp_path)


def _embed(folder, start):
    store = Stored(DummyEmbedder(), folder)
    for i in range(start, start + 500):
        store.encode([f"text {i}", f"text {i + 1}"])


def test_writers_killed_while_others_write_leave_only_right_embeddings(tmp_path):
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_embed, args=(tmp_path, start)) for start in (0, 0, 50)]
    for writer in writers:
        writer.start()
    store = Stored(DummyEmbedder(), tmp_path)
    for _ in range(100):
        store.refresh()
        if len(store) > 5:
            break
        writers[0].join(0.1)
    for writer in writers:
        writer.kill()
        writer.join()
    store.refresh()
    assert len(store) > 5
    embedder = Counting()
    texts = [f"text {i}" for i in range(100)]
    assert np.allclose(Stored(embedder, tmp_path).encode(texts), DummyEmbedder().encode(texts), atol=1e-6)
    assert len(embedder.asked) < 100
