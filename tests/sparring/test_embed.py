from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from sparring import registry
from sparring.embed import Cached, DummyEmbedder

TEXTS = ["win a free prize now", "see you at home", "win a free prize now", "", "ünïcode 日本", "word " * 700]


@pytest.mark.parametrize("name", registry.names("embedder"))
def test_embeddings_are_unit_rows_in_order_whatever_stands_beside_them(name):
    embedder = registry.make("embedder", name)
    found = embedder.encode(TEXTS)
    assert found.shape == (len(TEXTS), embedder.dim)
    assert found.dtype == np.float32
    lengths = np.linalg.norm(found, axis=1)
    assert np.allclose(lengths[lengths > 0.5], 1, atol=1e-3)
    assert np.allclose(found[0], found[2], atol=1e-3)
    alone = np.concatenate([embedder.encode([t]) for t in TEXTS])
    assert ((alone * found).sum(1) > 0.998)[lengths > 0.5].all()
    assert embedder.encode([]).shape == (0, embedder.dim)
    assert float(found[0] @ found[1]) < 0.9


def test_the_cache_asks_once_for_each_text():
    asked = []

    class Counting(DummyEmbedder):
        def encode(self, texts):
            asked.extend(texts)
            return super().encode(texts)

    cached = Cached(Counting())
    first = cached.encode(TEXTS)
    assert (cached.encode(TEXTS) == first).all()
    assert sorted(asked) == sorted(set(TEXTS))


def test_a_process_of_another_hash_seed_embeds_alike():
    code = "from sparring.embed import DummyEmbedder as E; print(E().encode(['win a free prize now'])[0].tolist())"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1
