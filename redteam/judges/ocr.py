from __future__ import annotations

import functools
from typing import Any

from sparring import ocr
from sparring.protocols import Verdict

from .criteria import Criterion, Rows


class Ocr(Criterion):
    """A reader of text still finds at least `recall` of the seed's words of four letters and more in the image.

    A seed is the text that an image is to carry, or the image that it was made from; where there is neither, the judge has
    nothing to object to. The score is the share of words found.
    """

    names = ("text",)
    cost = 100.0

    def __init__(self, *, recall: float = 0.8, side: int = ocr.SIDE, threads: int = 1):
        self.recall, self.side, self.threads = recall, side, threads
        self._read = functools.lru_cache(4096)(lambda image: ocr.read(image, side=side, threads=threads))

    def __repr__(self) -> str:
        return f"Ocr(recall={self.recall}, side={self.side})"

    def judge(self, rows: Rows) -> list[Verdict]:
        return [self._verdict(seed, sample) for seed, sample in zip(rows.seeds, rows.samples, strict=True)]

    def _verdict(self, seed: Any, sample: Any) -> Verdict:
        if not seed:
            return Verdict(True, 1.0)
        found = ocr.recall(seed if isinstance(seed, str) else self._read(seed), self._read(sample))
        return Verdict(found >= self.recall, found, "" if found >= self.recall else "text")
