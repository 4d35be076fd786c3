"""What differs between texts and images, in one place: the loop, the stages and the measures know contents, not media.

A content is what a classifier is asked about: a text, or an image as an encoded file. The parts that handle images stand in the
registry under kinds of their own: `image_target` beside `target`, and so on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np

from . import text, vision
from .custody import is_prohibited
from .graph import components

Content: TypeAlias = str | bytes
SLACK = 20  # characters that a sample may be longer, whatever its seed's length
NEAR = 0.99  # cosine of two images' small grey pictures; at 0.98 handwritten digits chain into groups of hundreds


class Medium(ABC):
    """One kind of content."""

    name: ClassVar[str]
    column: ClassVar[str]  # of a record
    model: ClassVar[str]  # the registry's kind of what generates it
    speaks: ClassVar[bool] = True  # has a language

    def kind(self, part: str) -> str:
        """The registry's kind of a part that handles this medium: "target" -> "image_target"."""
        return part

    def fields(self, content: Any) -> dict[str, Any]:
        """The fields of a record that hold a content."""
        return {self.column: content}

    @abstractmethod
    def fault(self, content: Any) -> str | None:
        """Why a content of somebody's data can't be used, None where it can."""

    @abstractmethod
    def forms(self, contents: Sequence[Any]) -> list[list[Any]]:
        """The contents as they are, and as a normaliser makes them where that differs: two rows are near in any of these."""

    @abstractmethod
    def near_pairs(self, contents: Sequence[Any], *, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """(row, other) of every pair of near duplicates whose row is at least `first`; each row pairs with itself too."""

    @abstractmethod
    def groups(self, contents: Sequence[Any]) -> np.ndarray:
        """(n,) int: near-duplicate group of each row, numbered by first appearance."""

    @abstractmethod
    def flat(self, content: Any) -> Any:
        """The content as a normaliser in front of a target would make it; the same object where that changes nothing."""

    @abstractmethod
    def bounds(self, seed: Any, *, longer: float, patterns: Sequence[str]) -> Callable[[Any], str]:
        """A cheap check of samples that came from `seed`: the reason why one can't count, "" where it may."""

    def prohibited(self, content: Any) -> bool:
        """Whether custody's screen refuses it."""
        return False


class Texts(Medium):
    """Strings."""

    name, column, model = "text", "text", "text_model"
    longest: ClassVar[int] = 100_000

    def fault(self, content: Any) -> str | None:
        if not isinstance(content, str):
            return "no text" if content is None else "invalid UTF-8" if isinstance(content, bytes) else "text is no string"
        if not content.strip():
            return "empty text"
        if "\x00" in content:
            return "NUL byte"
        return f"longer than {self.longest} characters" if len(content) > self.longest else None

    def forms(self, contents: Sequence[str]) -> list[list[str]]:
        return [list(contents), [text.canonical(c, "deobfuscate") for c in contents]]

    def near_pairs(self, contents: Sequence[str], *, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
        return text.near_pairs(contents, first=first)

    def groups(self, contents: Sequence[str]) -> np.ndarray:
        return text.groups(contents)

    def flat(self, content: str) -> str:
        return text.canonical(content)

    def bounds(self, seed: str, *, longer: float, patterns: Sequence[str]) -> Callable[[str], str]:
        """At most `longer` times the seed's length and 20 characters; its payload, with the policy's `patterns`, kept."""
        room, kept = longer * len(seed) + SLACK, text.payload(text.canonical(seed), patterns)

        def unfit(sample: str) -> str:
            flat = text.canonical(sample)
            if len(flat) > room:
                return "length"
            return "" if all(p in flat for p in kept) else "payload"

        return unfit

    def prohibited(self, content: str) -> bool:
        return is_prohibited(content)


class Images(Medium):
    """Encoded files. The screen of custody reads words: what an image shows it does not see."""

    name, column, model, speaks = "image", "image", "image_model", False

    def kind(self, part: str) -> str:
        return f"image_{part}"

    def fault(self, content: Any) -> str | None:
        return vision.fault(content) or None

    def forms(self, contents: Sequence[bytes]) -> list[list[bytes]]:
        return [list(contents)]

    def near_pairs(self, contents: Sequence[bytes], *, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
        from .pixels import Pixels

        vectors = Pixels().encode(contents)
        rows, others = [np.arange(first, len(vectors))], [np.arange(first, len(vectors))]
        for start in range(first, len(vectors), 2000):
            row, other = np.nonzero(vectors[start : start + 2000] @ vectors.T >= NEAR)
            apart = row + start != other
            rows.append(row[apart] + start)
            others.append(other[apart])
        return np.concatenate(rows), np.concatenate(others)

    def groups(self, contents: Sequence[bytes]) -> np.ndarray:
        return components(*self.near_pairs(contents), len(contents))

    def flat(self, content: bytes) -> bytes:
        """As an upload may come out of a platform: blurred by 0.6 pixels, with some noise, through JPEG at quality 75. What was
        won by single pixels does not survive that."""
        return vision.uploaded(content)

    def bounds(self, seed: bytes, *, longer: float, patterns: Sequence[str]) -> Callable[[bytes], str]:
        """Readable, and of the seed's width and height."""
        size = vision.opened(seed).size

        def unfit(sample: bytes) -> str:
            picture, reason = vision.tried(sample)
            return reason or ("" if picture.size == size else "size")

        return unfit


TEXTS, IMAGES = Texts(), Images()
