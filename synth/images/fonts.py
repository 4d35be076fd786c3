"""Fonts by family name: Pillow's own as "default", all others from the installed packages `fontpkg-*`."""

from __future__ import annotations

import functools
from typing import Any

from sparring.errors import JobError, MissingExtra

DEFAULT = "default"
FAMILIES = (
    DEFAULT, "Roboto", "Lora", "Oswald", "Caveat", "Pacifico", "Permanent Marker", "Inconsolata", "Bebas Neue",
)  # fmt: skip
SCRIPTS = ("Caveat", "Pacifico")  # of joined letters
_PROBE = 24


@functools.lru_cache(1024)
def font(family: str, size: int, *, bold: bool = False) -> Any:
    """A Pillow font of `size` pixels; bold where the family has a weight to set. Raises `MissingExtra` and `JobError`."""
    from PIL import ImageFont

    if family == DEFAULT:
        return ImageFont.load_default(size)
    found = ImageFont.truetype(_path(family), size)
    try:
        axes: list[Any] = found.get_variation_axes()
    except OSError:  # a font of one weight
        return found
    weights = [min(700, a["maximum"]) if bold and a["name"] == b"Weight" else max(a["minimum"], a["default"]) for a in axes]
    found.set_variation_by_axes(weights)
    return found


def covers(family: str, text: str) -> bool:
    """Whether the family has a glyph for every character."""
    return all(map(functools.partial(_has, family), set(text)))


@functools.lru_cache(4096)
def _has(family: str, character: str) -> bool:
    return character.isspace() or _glyph(family, character) != _glyph(family, "\uffff")


def _glyph(family: str, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font(family, _PROBE).getmask(character)
    return mask.size, bytes(mask)


@functools.cache
def _path(family: str) -> str:
    try:
        import fontpkg
    except ImportError:
        raise MissingExtra(f"the font {family!r}", "fontpkg", "images") from None
    try:
        return str(fontpkg.path(family))
    except fontpkg.FontpkgError:
        package = f"fontpkg-{family.lower().replace(' ', '-')}"
        raise JobError(
            f"expected an installed font family, got {family!r}. Fix: pip install {package}, or one of {', '.join(FAMILIES)}"
        ) from None
