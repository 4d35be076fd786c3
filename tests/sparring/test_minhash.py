from __future__ import annotations

import itertools
import os
import pathlib
import subprocess
import sys
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparring import minhash
from sparring.text import near_pairs


def grams(text: str) -> set[str]:
    text = text.ljust(5, "\0")
    return {text[i : i + 5] for i in range(len(text) - 4)}


def similarity(a: str, b: str) -> float:
    return len(grams(a) & grams(b)) / len(grams(a) | grams(b))


def family(seed: int, n: int = 400) -> list[str]:
    """Random sentences, half of them with one to four words changed: similarities of all sizes."""
    rng = Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnoprstuvw", k=rng.randint(2, 8))) for _ in range(600)]
    texts = [rng.choices(words, k=rng.randint(4, 20)) for _ in range(n)]
    for text in texts[: n // 2]:
        copy = list(text)
        for _ in range(rng.randint(0, 4)):
            copy[rng.randrange(len(copy))] = rng.choice(words)
        texts.append(copy)
    return [" ".join(text) for text in texts]


def every(texts: list[str], found: minhash.Near) -> set[tuple[int, int]]:
    """All pairs of rows: those of one form, and those of paired forms."""
    rows: dict[int, list[int]] = {}
    for i, form in enumerate(found.same.tolist()):
        rows.setdefault(form, []).append(i)
    pairs = [p for same in rows.values() for p in itertools.combinations(same, 2)]
    for a, b in zip(found.row.tolist(), found.other.tolist(), strict=True):
        pairs += itertools.product(rows[a], rows[b])
    return {(min(p), max(p)) for p in pairs}


def exact(texts: list[str], threshold: float) -> set[tuple[int, int]]:
    row, other = near_pairs(texts, threshold=threshold)
    return {(a, b) for a, b in zip(row.tolist(), other.tolist(), strict=True) if a < b}


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.85])
def test_the_pairs_are_those_of_exact_search(threshold):
    texts = family(0, 1200)
    found = minhash.near(minhash.shingles(texts), threshold)
    there, wanted = every(texts, found), exact(texts, threshold)
    assert len(wanted) > 100
    assert there <= wanted, "every pair is verified"
    assert len(there) >= 0.99 * len(wanted)
    assert found.complete
    assert 0.95 * found.sampled <= found.found <= found.sampled
    assert found.sampled > 2


def test_similarity_is_that_of_the_sets():
    texts = family(1)
    found = minhash.near(minhash.shingles(texts), 0.3)
    assert len(found.row) > 100
    for row, other, value in zip(found.row, found.other, found.similarity, strict=True):
        assert row < other
        assert value == pytest.approx(similarity(texts[row], texts[other]), abs=1e-6)


def test_a_pair_just_at_the_threshold_is_none():
    a, b = "abcdefghij", "abcdefgh"  # 6 and 4 shingles, 4 of them in both
    assert len(minhash.near(minhash.shingles([a, b]), 4 / 6).row) == 0
    assert len(minhash.near(minhash.shingles([a, b]), 0.66).row) == 1


def test_the_measured_recall_falls_with_the_true_one(monkeypatch):
    texts = family(2, 2500)
    monkeypatch.setattr(minhash, "_bands", lambda threshold: (1, 6))
    monkeypatch.setattr(minhash, "SAMPLE", 2000)
    found = minhash.near(minhash.shingles(texts), 0.7)
    wanted = {(a, b) for a, b in exact(texts, 0.7) if found.same[a] != found.same[b]}  # those of one form cannot be missed
    true = len(every(texts, found) & wanted) / len(wanted)
    assert true < 0.9
    assert found.found / found.sampled == pytest.approx(true, abs=0.15)


def test_where_everything_is_near_it_says_that_candidates_were_left_out_and_loses_no_text():
    rng = Random(0)
    base = [f"word{i}" for i in range(40)]
    texts = []
    for _ in range(1500):
        copy = list(base)
        copy[rng.randrange(40)] = f"other{rng.randrange(10**6)}"
        texts.append(" ".join(copy))
    found = minhash.near(minhash.shingles(texts), 0.7)
    assert not found.complete
    assert found.found < found.sampled
    assert len(np.unique(np.r_[found.row, found.other])) == len(np.unique(found.same))


@pytest.mark.parametrize("near", [True, False])
def test_a_flood_costs_a_number_of_comparisons_that_grows_with_the_texts_and_no_faster(near):
    """Texts that share bands and nearly all are near one another, or none: the worst there is for candidates."""

    def flood(n: int) -> minhash.Near:
        rng, tail = Random(0), 10 if near else 60
        texts = ["a long enough opening that all of them have " + "".join(rng.choices("0123456789", k=tail)) for _ in range(n)]
        return minhash.near(minhash.shingles(texts), 0.5)

    for n in (1000, 4000):
        found = flood(n)
        assert 0 < found.compared <= (minhash.IN_ALL + minhash.ASKED) * n
        assert not found.complete
        if near:
            partners = np.bincount(np.r_[found.row, found.other], minlength=n)
            assert partners.min() > 0, "each has something that can stand for it"
            assert (partners > n / 4).sum() >= 1, "and something stands for many"


words = st.sampled_from(["free entry", "win a prize", "call now", "hello", "see you", "ok", "", "a", "\ud800", "🎁🎁🎁🎁🎁"])


@settings(max_examples=60)
@given(st.lists(st.lists(words, max_size=6).map(" ".join), max_size=40), st.randoms(use_true_random=False))
def test_shuffled_texts_have_the_same_pairs(texts, rng):
    order = list(range(len(texts)))
    rng.shuffle(order)
    found, again = (minhash.near(minhash.shingles(t), 0.7) for t in (texts, [texts[i] for i in order]))
    shuffled = {tuple(sorted((order[a], order[b]))) for a, b in every(texts, again)}
    assert shuffled == every(texts, found)
    assert (again.found, again.sampled, again.complete) == (found.found, found.sampled, found.complete)


def test_the_hash_seed_of_python_changes_nothing():
    code = (
        f"import sys; sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r}); from test_minhash import family, minhash\n"
        "found = minhash.near(minhash.shingles(family(3)), 0.5); print(found.row.tolist(), found.other.tolist())"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1")
    ]
    assert said[0] == said[1]
    assert said[0].count(",") > 200


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["", ""], ["ab", "ab"]])
def test_few_and_short_texts(texts):
    found = minhash.near(minhash.shingles(texts), 0.7)
    assert every(texts, found) == ({(0, 1)} if len(texts) == 2 else set())
    assert (found.found, found.sampled) == (0, 0)


def test_shingles_of_code_points_leave_short_texts_empty():
    codes = np.frombuffer("abcdefab".encode("utf-32-le"), np.uint32)
    found = minhash.of_codes(codes, np.array([0, 6, 0, 2, 0]))
    assert np.diff(found.start).tolist() == [0, 2, 0, 0, 0]
    assert (found.hashes == minhash.shingles(["abcdef"]).hashes).all()
    assert minhash.near(found, 0.5).same.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("threshold", [0, 1, 1.5, float("nan")])
def test_an_impossible_threshold(threshold):
    with pytest.raises(ValueError, match="expected a threshold between 0 and 1; got"):
        minhash.near(minhash.shingles(["a"]), threshold)
