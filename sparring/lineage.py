"""No lineage and no near duplicate on both sides of a split: made rows that would bridge two splits are dropped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .media import TEXTS, Medium
from .record import Record


def bridging(known: Sequence[Record], new: Sequence[Record], medium: Medium = TEXTS) -> set[str]:
    """Ids of the new rows that are near duplicates, as they are or as a normaliser makes them, of a row of another split.

    Between two new rows of different splits the one outside `test` goes. A path between splits needs an edge between
    them, and every such edge loses its new row: no connected component of what stays spans two splits.
    """
    rows = [*known, *new]
    splits = np.array([r.split for r in rows])
    out: set[str] = set()
    if not new:
        return out
    for contents in medium.forms([r.content for r in rows]):
        row, other = medium.near_pairs(contents, first=len(known))
        for i, j in zip(*(side[splits[row] != splits[other]] for side in (row, other)), strict=True):
            if j < len(known) or splits[i] != "test":
                out.add(rows[i].id)
    return out
