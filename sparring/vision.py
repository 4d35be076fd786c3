"""Images between files and arrays: opened safely, brought to one size, written as PNG. A sample in flight is a file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .errors import DataError

LARGEST = 64_000_000  # pixels; more is refused before anything is decoded


def opened(data: bytes) -> Any:
    """The first picture of an encoded file as a Pillow image in mode L or RGB, turned as its EXIF says; a transparent one
    stands on white. Raises what Pillow raises, and `DecompressionBombError` above 64 million pixels."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as found:
        if found.width * found.height > LARGEST:
            raise Image.DecompressionBombError(f"{found.width} x {found.height} pixels")
        turned = ImageOps.exif_transpose(found)
        if turned.mode.startswith("I"):  # 16 bits: a plain conversion would clip, not scale
            turned = Image.fromarray((np.asarray(turned, np.float64) / 257).round().clip(0, 255).astype(np.uint8))
        if "A" in turned.getbands() or "transparency" in turned.info:
            seen = Image.new("RGBA", turned.size, "white")
            seen.alpha_composite(turned.convert("RGBA"))
            turned = seen
        return turned.convert("L" if turned.mode in ("1", "L") else "RGB")


def fault(data: Any) -> str:
    """Why a file can't be used as an image, "" where it can: damaged, of an unknown kind, or larger than is safe to open."""
    return _tried(data)[1]


def _tried(data: Any) -> tuple[Any, str]:
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
    except (OSError, ValueError, SyntaxError):
        return None, "damaged image"


def decoded(data: bytes) -> np.ndarray:
    """(h, w, 1 or 3) uint8 of one file, in the size and with the colours that it has. Raises `DataError`."""
    picture, reason = _tried(data)
    if reason:
        raise DataError(f"expected an image, got {reason}")
    found = np.asarray(picture, np.uint8)
    return found.reshape(*found.shape[:2], -1)


def pixels(images: Sequence[bytes], *, size: int | tuple[int, int], channels: int) -> np.ndarray:
    """(n, h, w, c) uint8; `size` is (h, w) or the side of a square, to which each image is resized, bilinear.

    `channels`: 1 grey, 3 RGB. Raises `DataError` for a file that can't be read.
    """
    height, width = (size, size) if isinstance(size, int) else size
    out = np.zeros((len(images), height, width, channels), np.uint8)
    for i, data in enumerate(images):
        picture, reason = _tried(data)
        if reason:
            raise DataError(f"expected an image, got {reason} in row {i}")
        picture = picture.convert("L" if channels == 1 else "RGB")
        if picture.size != (width, height):
            picture = picture.resize((width, height), 2)
        out[i] = np.asarray(picture, np.uint8).reshape(height, width, channels)
    return out


def png(pixels: np.ndarray, notes: Mapping[str, str] | None = None) -> bytes:
    """(h, w) or (h, w, 1 or 3) uint8 as a PNG file; `notes` become its text chunks. The same pixels give the same bytes."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in (notes or {}).items():
        info.add_itxt(key, value)
    held = io.BytesIO()
    flat = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(flat)).save(held, "PNG", pnginfo=info, compress_level=6)
    return held.getvalue()


def tensor(pixels: np.ndarray) -> Any:
    """(n, h, w, c) uint8 as a (n, c, h, w) float32 torch tensor in [0, 1]."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float() / 255


def rounded(images: Any) -> np.ndarray:
    """(n, c, h, w) floats in [0, 1], a torch tensor, as (n, h, w, c) uint8: what a file would hold of them."""
    return (images.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
