"""What every registered image operator promises, on any image."""

from __future__ import annotations

import io
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from sparring import registry, vision
from sparring.errors import DataError, JobError
from sparring.image_operators.base import image_of
from sparring.image_operators.digital import ROBIDOUX, coded, table
from sparring.image_operators.launder import ENCODERS

OPERATORS = [registry.make("image_operator", name) for name in registry.names("image_operator")]
OPERATORS += [registry.make("image_operator", "launder", encoders=["webp"], keep_size=True)]
FAMILIES = ("blur", "noise", "tone", "digital", "geometry", "occlusion", "upload")
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]
SIZES = [(1, 1), (1000, 1), (1, 1000), (2, 3), (28, 28), (61, 40)]

each = pytest.mark.parametrize("op", OPERATORS, ids=repr)


def made(mode: str, size: tuple[int, int], seed: int = 0) -> bytes:
    width, height = size
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(values)
    image = Image.fromarray(values[:, :, 0].astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    held = io.BytesIO()
    image.save(held, "TIFF" if mode == "CMYK" else "PNG")
    return held.getvalue()


def photo() -> bytes:
    """Smooth areas, edges, fine lines and colours: 96 x 64."""
    y, x = np.mgrid[:64, :96].astype(float)
    disc, lines = ((x - 40) ** 2 + (y - 30) ** 2 < 400) * 120, (x // 2 % 2) * (y // 3 % 2) * 60
    return vision.png(np.stack([x * 2 + lines, y * 3, 60 + disc + lines], 2).clip(0, 255).astype(np.uint8))


def moved(op, image: bytes, strength: float, seed: int) -> float:
    """The mean change of a value, both brought to one size."""
    out = op.apply(image, strength=strength, rng=Random(seed))
    one, two = vision.pixels([image, out], size=48, channels=3).astype(float)
    return float(np.abs(one - two).mean())


@each
def test_says_what_it_is(op):
    assert registry.find("image_operator", op.name) is type(op)
    assert op.family in FAMILIES
    assert op.preserves
    assert (type(op).__doc__ or "").partition("\n")[0].endswith(".")
    assert repr(op).startswith(type(op).__name__)


@each
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_image_comes_back_as_one_that_opens(op, size):
    for mode in MODES:
        opens(op, mode, size)


def opens(op, mode: str, size: tuple[int, int]) -> None:
    found = Image.open(io.BytesIO(op.apply(made(mode, size), strength=1, rng=Random(1))))
    assert found.format == "PNG"
    assert found.mode == ("L" if mode in ("1", "L", "I;16") else "RGB")
    if not op.resizes or getattr(op, "keep_size", False):
        assert found.size == size
    assert min(found.size) >= 1
    assert max(found.size) <= 2 * max(size) + 8


@each
@settings(max_examples=12)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)), mode=st.sampled_from(MODES), seed=st.integers(0, 99),
    strength=st.floats(0.001, 1),
)  # fmt: skip
def test_the_same_seed_gives_the_same_file_and_touches_no_global_state(op, size, mode, seed, strength):
    image, state = made(mode, size, seed), np.random.get_state()[1].copy()
    once = op.apply(image, strength=strength, rng=Random(seed))
    assert type(op)(**vars(op)).apply(image, strength=strength, rng=Random(seed)) == once
    assert np.array_equal(np.random.get_state()[1], state)


@each
def test_changes_more_with_strength_and_little_at_little(op):
    weak, middle, strong = (np.mean([moved(op, photo(), s, seed) for seed in range(12)]) for s in (0.05, 0.4, 1))
    assert weak < middle < strong
    assert weak < 6
    assert strong > 1


@each
def test_pixels_and_files_go_the_same_way_and_what_came_in_stays(op):
    pixels = vision.decoded(photo())
    before = pixels.copy()
    out = op.on_pixels(pixels, strength=0.7, rng=Random(3))
    assert np.array_equal(pixels, before)
    assert out.dtype == np.uint8
    assert np.array_equal(vision.decoded(op.apply(photo(), strength=0.7, rng=Random(3))), out)


@each
def test_a_strength_out_of_range_and_a_file_that_is_no_image_are_said(op):
    for strength in (0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="expected a strength above 0"):
            op.apply(photo(), strength=strength, rng=Random(0))
    with pytest.raises(DataError, match="expected an image, got no image that can be read"):
        op.apply(b"text", strength=1, rng=Random(0))


def test_digits_are_still_known_after_each_operator_at_half_strength():
    """Labels are preserved: a nearest-neighbour reader of clean digits still reads most of them, far above chance."""
    from sklearn.neighbors import KNeighborsClassifier

    digits = load_digits()
    files = [vision.png(np.kron((d * 15.9).astype(np.uint8), np.ones((4, 4), np.uint8))) for d in digits.images]
    seen = vision.pixels(files, size=16, channels=1).reshape(len(files), -1).astype(float)
    reader = KNeighborsClassifier(3).fit(seen[:1500], digits.target[:1500])
    for op in OPERATORS:
        changed = [op.apply(f, strength=0.5, rng=Random(i)) for i, f in enumerate(files[1500:1650])]
        found = reader.predict(vision.pixels(changed, size=16, channels=1).reshape(150, -1))
        assert (found == digits.target[1500:1650]).mean() > 0.7, op


@pytest.mark.parametrize("keep", [False, True])
def test_laundering_is_drawn_without_a_look_at_the_image(keep):
    """Two images of one size go through the same steps: the same sizes, and black stays as near to white as the steps say."""
    op = registry.make("image_operator", "launder", keep_size=keep)
    dark, light = np.zeros((50, 70, 3), np.uint8), np.full((50, 70, 3), 255, np.uint8)
    sizes = set()
    for seed in range(30):
        one, two = (op.on_pixels(p, strength=1, rng=Random(seed)) for p in (dark, light))
        assert one.shape == two.shape
        sizes.add(one.shape)
    assert (len(sizes) == 1) is keep


def test_the_two_jpeg_encoders_differ_by_the_tables_that_stand_in_their_files():
    pixels = vision.decoded(photo()).astype(np.float32)
    held = io.BytesIO()
    image_of(pixels).save(held, "JPEG", qtables=[table(50)] * 2)
    assert Image.open(held).quantization[0] == list(ROBIDOUX[:7]) + [min(255, v) for v in ROBIDOUX[7:]]
    assert table(100) == [1] * 64
    assert 0.5 < np.abs(coded(pixels, "JPEG", quality=60) - coded(pixels, "JPEG", qtables=[table(60)] * 2)).mean() < 10


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_is_used_and_keeps_grey_grey_and_colours_in_order(encoder):
    op = registry.make("image_operator", "launder", encoders=[encoder], keep_size=True)
    assert moved(op, photo(), 0.02, 0) < 12
    grey = vision.decoded(photo())[:, :, :1]
    assert op.on_pixels(grey, strength=0.02, rng=Random(0)).shape == grey.shape


def test_an_unknown_encoder_is_named_with_those_that_exist():
    with pytest.raises(JobError, match="expected encoders out of libjpeg, mozjpeg, webp; got \\['gif'\\]"):
        registry.make("image_operator", "launder", encoders=["gif"])
