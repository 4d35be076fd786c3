from __future__ import annotations

import io
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sparring import phash, registry, vision


def pictures(n: int = 40) -> list[bytes]:
    """Smooth random pictures: no two alike."""
    rng = np.random.default_rng(0)
    grids = [Image.fromarray(rng.integers(0, 256, (7, 7, 3), np.uint8)) for _ in range(n)]
    return [vision.png(np.asarray(grid.resize((96, 80), Image.Resampling.BICUBIC))) for grid in grids]


@pytest.mark.parametrize("hashed", [phash.dhash, phash.phash])
def test_copies_stay_near_and_others_far(hashed):
    images = pictures()
    own = hashed(images)
    assert own.dtype == np.uint64
    assert len(phash.near_pairs(own)) == 0
    apart = phash.distance(own[:, None], own[None])[~np.eye(len(own), dtype=bool)]
    assert 28 < apart.mean() < 36
    for name, strength in (("jpeg", 0.7), ("blur", 0.5), ("contrast", 0.5), ("gaussian_noise", 0.1)):
        op = registry.make("image_operator", name)
        changed = hashed([op.apply(image, strength=strength, rng=Random(1)) for image in images])
        assert (phash.distance(own, changed) <= phash.NEAR).mean() > 0.9, name
    small = hashed([vision.png(vision.pixels([image], size=(40, 48), channels=3)[0]) for image in images])
    pairs = phash.near_pairs(np.concatenate([own, small]))
    assert {(i, i + len(images)) for i in range(len(images))} <= set(map(tuple, pairs.tolist()))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=30), st.integers(0, 64))
def test_pairs_are_those_that_counting_one_by_one_finds(values, most):
    hashes = np.array(values, np.uint64)
    wanted = [
        [i, j] for i in range(len(values)) for j in range(i + 1, len(values)) if (values[i] ^ values[j]).bit_count() <= most
    ]
    assert phash.near_pairs(hashes, most=most).tolist() == wanted


def test_pairs_across_chunks_are_found(monkeypatch):
    hashes = np.random.default_rng(0).integers(0, 2**64, 200, np.uint64)
    hashes[150:] = hashes[:50] ^ np.uint64(1)
    whole = phash.near_pairs(hashes)
    monkeypatch.setattr(phash, "_CHUNK", 16)
    assert np.array_equal(whole, phash.near_pairs(hashes))
    assert len(whole) == 50


def test_no_images_and_plain_ones():
    assert phash.dhash([]).shape == phash.phash([]).shape == (0,)
    assert phash.near_pairs(phash.phash([])).shape == (0, 2)
    plain = [vision.png(np.full((5, 5), tone, np.uint8)) for tone in (0, 128)]
    assert len(phash.near_pairs(phash.dhash(plain))) == 1


def test_the_turn_that_exif_asks_for_counts():
    image = Image.fromarray(vision.decoded(pictures(1)[0]))
    exif, held = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    image.rotate(90, expand=True).save(held, "PNG", exif=exif)
    assert phash.distance(phash.dhash([held.getvalue()]), phash.dhash(pictures(1)))[0] <= 1
