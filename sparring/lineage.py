"""No lineage and no near duplicate on both sides of a split: made rows that would bridge two splits are dropped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .record import Record
from .text import canonical, near_pairs


def bridging(known: Sequence[Record], new: Sequence[Record]) -> set[str]:
    """Ids of the new rows that are near duplicates, raw or in canonical form, of a row of another split.

    Between two new rows of different splits the one outside `test` goes. A path between splits needs an edge between
    them, and every such edge loses its new row: no connected component of what stays spans two splits.
    """
    rows = [*known, *new]
    splits = np.array([r.split for r in rows])
    out: set[str] = set()
    if not new:
        return out
    for level in (None, "deobfuscate"):
        texts = [canonical(r.text or "", "deobfuscate") if level else (r.text or "") for r in rows]
        row, other = near_pairs(texts, first=len(known))
        for i, j in zip(*(side[splits[row] != splits[other]] for side in (row, other)), strict=True):
            if j < len(known) or splits[i] != "test":
                out.add(rows[i].id)
    return out
