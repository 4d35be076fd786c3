from __future__ import annotations

import io

import numpy as np
from PIL import Image

from sparring import pixels, registry


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def digit(seed: int, size: int = 32) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size, size)).astype(np.uint8), "L").resize((size * 4, size * 4))


def test_an_image_is_near_itself_in_any_size_format_and_mode_and_far_from_others():
    embedder = registry.make("image_embedder", "pixels")
    one = digit(0)
    same = [encoded(one), encoded(one.resize((60, 60))), encoded(one, "JPEG", quality=60), encoded(one.convert("CMYK"), "JPEG"),
            encoded(one.convert("P")), encoded(one.convert("RGBA")), encoded(one.convert("I;16"))]  # fmt: skip
    found = embedder.encode([*same, encoded(digit(1))])
    assert found.shape == (8, embedder.dim)
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    cosine = found @ found[0]
    assert cosine[1:6].min() > 0.95
    assert abs(cosine[7]) < 0.5
    assert embedder.encode([]).shape == (0, embedder.dim)


def test_a_turned_photograph_is_read_as_it_is_seen():
    image, exif = digit(0), Image.Exif()
    exif[0x0112] = 6
    turned = encoded(image.rotate(90, expand=True), "JPEG", exif=exif, quality=95)
    found = pixels.Pixels().encode([encoded(image), turned])
    assert found[0] @ found[1] > 0.95


def test_a_transparent_image_stands_on_white():
    shape = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    shape.paste((0, 0, 0, 255), (8, 8, 24, 24))
    white = Image.new("RGB", (32, 32), "white")
    white.paste((0, 0, 0), (8, 8, 24, 24))
    found = pixels.Pixels().encode([encoded(shape), encoded(white)])
    assert found[0] @ found[1] > 0.999
