from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from sparring import nets, vision
from sparring.errors import DataError, JobError


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def ramp(mode: str = "L") -> Image.Image:
    return Image.fromarray(np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))).convert(mode)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no image", "no image that can be read"),
        (encoded(ramp())[:60], "damaged image"),
        (encoded(Image.new("1", (20_000, 20_000))), "image too large"),
        (encoded(Image.new("L", (1000, 1))), ""),
        (None, "no image"),
        (encoded(ramp()), ""),
    ],
)
def test_what_cannot_be_read_is_said(data, said):
    assert vision.fault(data) == said


def test_sixteen_bits_are_scaled_not_clipped():
    deep = Image.fromarray(np.asarray(ramp(), np.uint16) * 257)
    assert np.array_equal(
        vision.pixels([encoded(deep)], size=32, channels=1), vision.pixels([encoded(ramp())], size=32, channels=1)
    )


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_comes_as_pixels_of_one_shape(mode, channels):
    data = encoded(ramp(mode), "TIFF" if mode == "CMYK" else "PNG")
    found = vision.pixels([data, data], size=(16, 8), channels=channels)
    assert found.shape == (2, 16, 8, channels)
    assert found.dtype == np.uint8
    assert found.max() > 200


def test_a_row_that_is_no_image_is_named():
    with pytest.raises(DataError, match="no image that can be read in row 1"):
        vision.pixels([encoded(ramp()), b"text"], size=8, channels=1)


def test_a_png_holds_exactly_what_a_tensor_rounds_to():
    images = torch.rand(3, 3, 9, 7, generator=torch.Generator().manual_seed(0)) * 1.2 - 0.1
    kept = vision.rounded(images)
    files = [vision.png(p, {"note": "synthetic"}) for p in kept]
    assert np.array_equal(vision.pixels(files, size=(9, 7), channels=3), kept)
    assert torch.allclose(vision.tensor(kept), images.clamp(0, 1), atol=0.5 / 255 + 1e-6)
    assert Image.open(io.BytesIO(files[0])).text == {"note": "synthetic"}


def blobs(n: int, side: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A bright square on the left or on the right."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n,), generator=generator)
    x = torch.rand(n, 1, side, side, generator=generator) * 0.6
    for image, label in zip(x, y, strict=True):
        image[0, 4:8, 2 + 6 * int(label) : 6 + 6 * int(label)] += 0.4
    return x, y


@pytest.mark.parametrize("architecture", nets.ARCHITECTURES)
def test_every_architecture_learns_gives_gradients_and_is_the_same_for_a_seed(architecture):
    x, y = blobs(320, 14, 0)
    state = torch.random.get_rng_state()
    made = [
        nets.train(nets.build(architecture, channels=1, size=14, labels=2, seed=3), x, y, epochs=6, seed=1) for _ in range(2)
    ]
    assert torch.equal(torch.random.get_rng_state(), state)
    unseen, wanted = blobs(100, 14, 1)
    found = nets.logits(made[0], unseen)
    assert np.array_equal(found, nets.logits(made[1], unseen))
    assert (found.argmax(1) == wanted.numpy()).mean() > 0.9
    leaf = unseen.clone().requires_grad_()
    made[0](leaf).sum().backward()
    assert leaf.grad.abs().sum() > 0


def test_an_unknown_architecture_is_named_with_those_that_exist():
    with pytest.raises(JobError, match="expected an architecture out of cnn, residual"):
        nets.build("vgg", channels=1, size=8, labels=2, seed=0)


def test_moved_images_keep_their_shape_and_their_range_and_follow_the_generator():
    x, y = blobs(8, 14, 0)
    one, two = (nets.shifted(None, x, y, torch.Generator().manual_seed(5)) for _ in range(2))
    assert one.shape == x.shape
    assert torch.equal(one, two)
    assert not torch.equal(one, x)
    assert 0 <= one.min() <= one.max() <= 1


def test_an_upload_is_blurred_noisy_and_compressed_the_same_way_each_time():
    image = ramp("RGB").resize((64, 64))
    file, noted = encoded(image), vision.png(np.asarray(image), {"made by": "a generator"})
    once = vision.decoded(vision.uploaded(file)).astype(float)
    assert vision.uploaded(file) == vision.uploaded(noted), "the noise is of the pixels, not of the file"
    before = vision.decoded(file).astype(float)
    silent = vision.decoded(vision.uploaded(file, noise=0)).astype(float)
    assert 5 < (once - silent).std() < 14, "JPEG keeps most of 0.05 * 255"
    assert abs((once - before).mean()) < 2
    brighter = encoded(image.point(lambda value: min(value + 1, 255)))
    other = vision.decoded(vision.uploaded(brighter)).astype(float) - vision.decoded(vision.uploaded(brighter, noise=0))
    assert abs(np.corrcoef((once - silent).ravel(), other.ravel())[0, 1]) < 0.2, "each image has noise of its own"
