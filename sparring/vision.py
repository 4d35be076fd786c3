"""Images between files and arrays: opened safely, brought to one size, written as PNG. A sample in flight is a file."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from .errors import DataError

if TYPE_CHECKING:
    import numpy as np

LARGEST = 64_000_000  # pixels; more is refused before anything is decoded
# What is opened; anything else, such as EPS, would hand the file to programs outside, or to readers that few people test.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
# What Pillow's readers raise on files with flipped bits; RuntimeError is AVIF's way, TypeError happens to TIFF's.
_DAMAGED = (OSError, ValueError, SyntaxError, RuntimeError, TypeError)
SHOWN = 50_000_000  # pixels of an image that is opened for a preview
ENLARGED = 5  # times its size that a small picture is shown at most


def opened(data: bytes) -> Any:
    """The first picture of an encoded file as a Pillow image in mode L or RGB, turned as its EXIF says; a transparent one
    stands on white. Raises what Pillow raises, and `DecompressionBombError` above 64 million pixels."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data), formats=_formats()) as found:
        if found.width * found.height > LARGEST:
            raise Image.DecompressionBombError(f"{found.width} x {found.height} pixels")
        turned = ImageOps.exif_transpose(found)
        if turned.mode[0] in "IF":  # 16 bits, or floats: a plain conversion would clip, not scale
            import numpy as np

            values = np.nan_to_num(np.asarray(turned, np.float64))
            scale = 1 / 257 if turned.mode != "F" else 255 if values.max() <= 1 else 1
            turned = Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8))
        if "A" in turned.getbands() or "transparency" in turned.info:
            seen = Image.new("RGBA", turned.size, "white")
            seen.alpha_composite(turned.convert("RGBA"))
            turned = seen
        return turned.convert("L" if turned.mode in ("1", "L") else "RGB")


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow was built with."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def fault(data: Any) -> str:
    """Why a file can't be used as an image, "" where it can: damaged, of an unknown kind, or larger than is safe to open."""
    return tried(data)[1]


def tried(data: Any) -> tuple[Any, str]:
    """The picture of a file, or None and what is wrong with it."""
    from PIL import Image, UnidentifiedImageError

    if not isinstance(data, bytes):
        return None, "no image"
    try:
        return opened(data), ""
    except UnidentifiedImageError:
        return None, "no image that can be read"
    except Image.DecompressionBombError:
        return None, "image too large"
    except _DAMAGED:
        return None, "damaged image"


def decoded(data: bytes) -> np.ndarray:
    """(h, w, 1 or 3) uint8 of one file, in the size and with the colours that it has. Raises `DataError`."""
    picture, reason = tried(data)
    if reason:
        raise DataError(f"expected an image, got {reason}")
    import numpy as np

    found = np.array(picture, np.uint8)
    return found.reshape(*found.shape[:2], -1)


def pictures(images: Sequence[bytes], *, channels: int = 3, first: int = 0) -> Iterator[Any]:
    """Each file as a Pillow image, grey for 1 channel, else RGB. Raises `DataError` for one that can't be read, with its row;
    `first` is the first one's."""
    for row, data in enumerate(images, first):
        picture, reason = tried(data)
        if reason:
            raise DataError(f"expected an image, got {reason} in row {row}")
        yield picture.convert("L" if channels == 1 else "RGB")


def pixels(images: Sequence[bytes], *, size: int | tuple[int, int], channels: int, first: int = 0) -> np.ndarray:
    """(n, h, w, c) uint8; `size` is (h, w) or the side of a square, to which each image is resized, bilinear.

    `channels`: 1 grey, 3 RGB. Raises `DataError` for a file that can't be read, with its row counted from `first`.
    """
    import numpy as np

    height, width = (size, size) if isinstance(size, int) else size
    out = np.zeros((len(images), height, width, channels), np.uint8)
    for i, picture in enumerate(pictures(images, channels=channels, first=first)):
        if picture.size != (width, height):
            picture = picture.resize((width, height), 2)
        out[i] = np.asarray(picture, np.uint8).reshape(height, width, channels)
    return out


def png(pixels: np.ndarray, notes: Mapping[str, str] | None = None) -> bytes:
    """(h, w) or (h, w, 1 or 3) uint8 as a PNG file; `notes` become its text chunks. The same pixels give the same bytes."""
    import numpy as np
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in (notes or {}).items():
        info.add_itxt(key, value)
    held = io.BytesIO()
    flat = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(flat)).save(held, "PNG", pnginfo=info, compress_level=6)
    return held.getvalue()


def uploaded(data: bytes, *, blur: float = 0.6, noise: float = 0.05, quality: int = 75) -> bytes:
    """An image as it may come out of a platform: a Gaussian blur of `blur` pixels, noise of a standard deviation of `noise`
    (1 is white), JPEG at `quality`; given as PNG. The noise is drawn from the pixels: the same image has the same, whatever
    else its file says."""
    import numpy as np
    from PIL import Image, ImageFilter

    image, held = opened(data), io.BytesIO()
    rng = np.random.default_rng(np.frombuffer(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), np.uint32))
    values = np.asarray(image.filter(ImageFilter.GaussianBlur(blur)), np.float32)
    values += 255 * noise * rng.standard_normal(values.shape, np.float32)
    Image.fromarray(values.round().clip(0, 255).astype(np.uint8)).save(held, "JPEG", quality=quality)
    with Image.open(held) as found:
        return png(np.asarray(found))


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture for a page: its data URI and its size there in pixels, or `why` there is none."""

    uri: Markup | None = None
    width: int = 0
    height: int = 0
    why: str = ""


def thumbnail(data: bytes, side: int) -> Thumbnail:
    """An encoded image at most `side` pixels long, a small one enlarged; one that no reader understands is said, no error."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as found:
            large = found.width * found.height > SHOWN
            if large:
                return Thumbnail(why=f"an image of {found.width} x {found.height} pixels, too large for a preview")
        small = opened(data).convert("RGB")
    except (*_DAMAGED, Image.DecompressionBombError):
        return Thumbnail(why="an image that cannot be read")
    scale = min(side / max(small.size), ENLARGED)
    width, height = (max(1, round(edge * scale)) for edge in small.size)
    small.thumbnail((side, side))
    held = io.BytesIO()
    kind = "png" if max(small.size) <= 32 else "jpeg"
    small.save(held, kind, quality=72)
    return Thumbnail(Markup("data:image/{};base64,{}").format(kind, base64.b64encode(held.getvalue()).decode()), width, height)


def tensor(pixels: np.ndarray) -> Any:
    """(n, h, w, c) uint8 as a (n, c, h, w) float32 torch tensor in [0, 1]."""
    import numpy as np
    import torch

    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float() / 255


def rounded(images: Any) -> np.ndarray:
    """(n, c, h, w) floats in [0, 1], a torch tensor, as (n, h, w, c) uint8: what a file would hold of them."""
    return (images.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
