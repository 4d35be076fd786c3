"""Files that no generator of ours writes, but that people upload: each is read as it looks, or refused with a reason."""

from __future__ import annotations

import io
import struct
import zlib
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sparring import ocr, phash, registry, vision
from sparring.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore:Image size", "ignore:Corrupt EXIF")

BASE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8))
KINDS = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"]


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, data: bytes = b"", extra: bytes = b"") -> bytes:
    """A grey PNG that says it has this size, whatever its data are."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def ramp(mode: str) -> Image.Image:
    """Dark on the left, light on the right."""
    wide = np.tile(np.linspace(0, 255, 32), (8, 1))
    if mode == "F":
        return Image.fromarray((wide / 255).astype(np.float32))
    if mode == "I;16":
        return Image.fromarray((wide * 257).astype(np.uint16))
    return Image.fromarray(wide.astype(np.uint8)).convert(mode)


REFUSED = {
    "empty": (b"", "no image that can be read"),
    "no bytes": (None, "no image"),
    "text": ("PNG", "no image"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image that can be read"),
    "pdf": (b"%PDF-1.4", "no image that can be read"),
    "eps, which would call Ghostscript": (encoded(BASE, "EPS"), "no image that can be read"),
    "zip": (b"PK\x03\x04" + bytes(60), "no image that can be read"),
    "no width": (png(0, 10), "no image that can be read"),
    "no height": (png(10, 0), "no image that can be read"),
    "no data": (png(10, 10), "damaged image"),
    "bomb": (png(30_000, 30_000), "image too large"),
    "largest size a PNG can state": (png(2**31 - 1, 2**31 - 1), "image too large"),
    "just above what is opened": (png(8_001, 8_000), "image too large"),
    "long strip": (png(2**31 - 1, 1), "image too large"),
    "bomb in a text chunk": (
        png(4, 4, bytes(20), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000)))), "damaged image",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_reason(name):
    data, reason = REFUSED[name]
    assert vision.fault(data) == reason
    with pytest.raises(DataError, match=f"expected an image, got {reason}"):
        vision.decoded(data)
    with pytest.raises(DataError, match=f"{reason} in row 1"):
        vision.pixels([encoded(BASE), data], size=8, channels=3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_short_is_damaged_or_unknown_and_never_a_crash(kind):
    whole = encoded(BASE, kind)
    assert vision.fault(whole) == ""
    for length in (1, 8, 20, 40, len(whole) // 4, len(whole) // 2):
        assert vision.fault(whole[:length]) in ("damaged image", "no image that can be read"), length


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 10_000))
def test_bits_that_flipped_are_no_crash(kind, seed):
    whole, rng = bytearray(encoded(BASE, kind)), Random(seed)
    for _ in range(rng.randint(1, 12)):
        whole[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
    said = vision.fault(bytes(whole))
    assert said in ("", "damaged image", "no image that can be read", "image too large")
    if not said and vision.decoded(bytes(whole)).size < 10_000_000:
        assert vision.pixels([bytes(whole)], size=8, channels=1).shape == (1, 8, 8, 1)


MODES = [
    ("1", "PNG"), ("L", "JPEG"), ("LA", "PNG"), ("P", "PNG"), ("P", "GIF"), ("PA", "TIFF"), ("RGB", "WEBP"), ("RGBA", "PNG"),
    ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("YCbCr", "JPEG"), ("LAB", "TIFF"), ("I;16", "PNG"), ("I;16", "TIFF"), ("F", "TIFF"),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "kind"), MODES)
def test_every_mode_shows_what_it_showed(mode, kind):
    image = Image.merge("LAB", (ramp("L"), *[Image.new("L", (32, 8), 128)] * 2)) if mode == "LAB" else None
    if mode == "PA":
        image = ramp("P").convert("PA")
    seen = vision.decoded(encoded(image or ramp(mode), kind)).mean(2).mean(0)
    assert seen.shape == (32,)
    assert seen[:6].mean() < 45
    assert seen[-6:].mean() > 205
    if mode != "1":
        assert np.abs(seen - np.linspace(0, 255, 32)).mean() < 12


def test_alpha_stands_on_white_and_a_palette_may_be_transparent():
    clear = Image.new("RGBA", (6, 6), (10, 20, 30, 0))
    half = Image.new("RGBA", (6, 6), (0, 0, 0, 128))
    assert (vision.decoded(encoded(clear)) == 255).all()
    assert np.abs(vision.decoded(encoded(half)).astype(int) - 127).max() <= 1
    palette = Image.new("P", (6, 6), 3)
    palette.putpalette([0, 0, 0] * 256)
    assert (vision.decoded(encoded(palette, transparency=3)) == 255).all()
    assert (vision.decoded(encoded(Image.new("L", (6, 6), 5), transparency=5)) == 255).all()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_picture_counts(kind):
    frames = [Image.new("RGB", (20, 12), c) for c in ((250, 0, 0), (0, 250, 0), (0, 0, 250))]
    red = vision.decoded(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert red.shape == (12, 20, 3)
    assert red[..., 0].min() > 230
    assert red[..., 1:].max() < 20


@pytest.mark.parametrize("turn", range(10))
def test_the_turn_that_exif_asks_for_is_made_once(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    exif_image = encoded(BASE, "PNG", exif=exif)
    seen, plain = vision.decoded(exif_image), np.asarray(BASE)
    wanted = {
        2: plain[:, ::-1], 3: plain[::-1, ::-1], 4: plain[::-1], 5: plain.transpose(1, 0, 2), 6: np.rot90(plain, -1),
        7: np.rot90(plain, 2).transpose(1, 0, 2), 8: np.rot90(plain),
    }  # fmt: skip
    assert np.array_equal(seen, wanted.get(turn, plain))
    assert np.array_equal(vision.decoded(vision.png(seen)), seen)


def test_broken_exif_is_no_reason_to_refuse_an_image():
    assert vision.fault(encoded(BASE, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")) == ""


@pytest.mark.parametrize("size", [(1000, 1), (1, 1000), (1, 1), (3, 2)])
def test_thin_and_tiny_images_go_through_all_that_reads_images(size):
    image = encoded(Image.new("RGB", size, (200, 30, 30)))
    assert vision.decoded(image).shape == (size[1], size[0], 3)
    assert vision.pixels([image], size=28, channels=1).shape == (1, 28, 28, 1)
    assert vision.uploaded(image)
    assert vision.thumbnail(image, 64).uri
    assert len(phash.dhash([image])) == 1
    assert ocr.read(image) == ""
    embedder = registry.make("image_embedder", "pixels")
    assert np.isfinite(embedder.encode([image])).all()
