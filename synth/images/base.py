"""What every generator of images here promises: settings by keyword, shown by `repr`; an image depends on its brief alone."""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sparring.errors import JobError
from sparring.protocols import OUT_OF_MEMORY, Brief, Drawn

Wrap = Callable[[Sequence[Brief], Any, Any], Any]

_LOG = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Backend(ABC):
    """Authors write `render`, which draws one batch; briefs that can't share one differ in `kin`.

    A batch that does not fit into memory is halved, which the log says; a single image that does not fit is an outcome
    without an image.
    """

    name: ClassVar[str]

    batch_size: int = 64
    licence: str | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise JobError(f"{self.name}: expected batch_size of at least 1, got {self.batch_size}")

    def draw(self, briefs: Sequence[Brief], *, wrap: Wrap | None = None) -> list[Drawn]:
        """One outcome for each brief, in order. `wrap` (of a generator that is `guidable`) is called for every batch."""
        kinds: dict[Hashable, list[int]] = {}
        for i, brief in enumerate(briefs):
            if not 0 < brief.strength <= 1:
                raise JobError(f"{self.name}: expected strength in (0, 1], got {brief.strength}")
            kinds.setdefault(self.kin(brief), []).append(i)
        drawn: dict[int, Drawn] = {}
        for rows in kinds.values():
            size = self.rows_at_once(briefs[rows[0]])
            waiting = [rows[start : start + size] for start in range(0, len(rows), size)]
            while waiting:
                batch = waiting.pop(0)
                asked = [briefs[i] for i in batch]
                try:
                    drawn.update(zip(batch, self.render(asked, wrap), strict=True))
                except RuntimeError as error:
                    if not _out_of_memory(error):
                        raise
                    if len(batch) == 1:
                        drawn[batch[0]] = Drawn(None, self.recipe(asked[0]), OUT_OF_MEMORY)
                        continue
                    half = -(-len(batch) // 2)
                    _LOG.warning("%s: out of memory at a batch of %d images, going on with %d", self.name, len(batch), half)
                    waiting[:0] = [batch[:half], batch[half:]]
        return [drawn[i] for i in range(len(briefs))]

    def rows_at_once(self, brief: Brief) -> int:
        """How many briefs like this one are drawn together."""
        return self.batch_size

    def kin(self, brief: Brief) -> Hashable:
        """Briefs of the same value may be drawn in one batch."""
        return None

    @abstractmethod
    def render(self, briefs: Sequence[Brief], wrap: Wrap | None) -> list[Drawn]:
        """One outcome for each brief, in order, drawn together."""

    def settings(self) -> dict[str, Any]:
        """What changes an image beside its brief, as JSON values."""
        return {}

    def recipe(self, brief: Brief) -> str:
        """All that makes the image of a brief again, as JSON."""
        return json.dumps(self.settings() | given(brief), sort_keys=True)

    def describe(self) -> dict[str, Any]:
        """name, model, revision, licence, and `parameters`: the settings that change an image."""
        return {
            "name": self.name, "model": self.name, "revision": None, "licence": self.licence, "parameters": self.settings(),
        }  # fmt: skip


def given(brief: Brief) -> dict[str, Any]:
    """A brief as JSON values, its image as a hash."""
    import hashlib

    said: dict[str, Any] = {"label": brief.label, "seed": brief.seed}
    if brief.prompt:
        said["prompt"] = brief.prompt
    if brief.start is not None:
        said |= {"start": hashlib.blake2b(brief.start, digest_size=12).hexdigest(), "strength": brief.strength}
    return said


def _out_of_memory(error: RuntimeError) -> bool:
    """Of a GPU, or of the allocator of main memory, which has no class of its own."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
