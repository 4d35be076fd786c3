from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring import minhash
from sparring.arrays import adjacency, distinct
from sparring.spool import Spool, parts


@given(st.lists(st.text()), st.randoms(use_true_random=False))
def test_what_goes_in_comes_out_in_any_order(texts, rng):
    spool = Spool(texts)
    assert list(spool) == texts
    assert spool.sizes.tolist() == [len(t.encode("utf-8", "surrogatepass")) for t in texts]
    order = rng.choices(range(len(texts)), k=len(texts)) if texts else []
    assert list(spool.taken(np.array(order, int))) == [texts[i] for i in order]
    assert spool[1:4] == texts[1:4]


def test_bytes_a_lone_surrogate_and_what_was_added_after_a_reading_are_kept(tmp_path):
    assert list(Spool([b"\x00", b"", b"\xff"], folder=tmp_path)) == [b"\x00", b"", b"\xff"]
    spool = Spool(["\ud800"])
    assert spool[0] == "\ud800"
    spool.add("more")
    assert spool[1] == spool[-1] == "more"
    assert not list(tmp_path.iterdir()), "its file has no name"


@given(st.lists(st.integers(0, 9)), st.integers(1, 20))
def test_parts_are_all_rows_in_order_and_no_larger_than_asked(sizes, most):
    found = list(parts(np.array(sizes, int), most))
    assert [i for rows in found for i in range(rows.start, rows.stop)] == list(range(len(sizes)))
    assert all(sum(sizes[rows]) <= most or rows.stop - rows.start == 1 for rows in found)


@pytest.mark.parametrize("values", [[], [3], [3, 1, 3, 2, 1]])
def test_distinct_is_sorted_and_each_once(values):
    assert distinct(np.array(values, int)).tolist() == sorted(set(values))


def test_adjacency_is_both_ways_round_in_the_order_of_the_pairs():
    start, end, pair = adjacency(np.array([2, 0]), np.array([3, 2]), 5)
    rows = [list(zip(end[a:b].tolist(), pair[a:b].tolist(), strict=True)) for a, b in itertools.pairwise(start)]
    assert rows == [[(2, 1)], [], [(3, 0), (0, 1)], [(2, 0)], []]


def test_texts_on_disk_have_the_pairs_of_texts_in_memory(monkeypatch):
    rng = np.random.default_rng(0)
    base = ["".join(rng.choice(list("abcdefgh "), 80)) for _ in range(150)]
    texts = [*base, *(t[:70] + "!" for t in base[:60]), "", ""]
    held = minhash.near(minhash.shingled(Spool(texts), minhash.shingles), 0.5)
    monkeypatch.setattr(minhash, "HELD", 0)
    monkeypatch.setattr(minhash, "PART", 500)
    streamed = minhash.shingled(Spool(texts), minhash.shingles)
    assert isinstance(streamed, minhash.Streamed)
    found = minhash.near(streamed, 0.5)
    assert len(found.row) >= 60
    for name in ("same", "row", "other", "similarity", "complete", "compared"):
        assert np.array_equal(getattr(found, name), getattr(held, name)), name
