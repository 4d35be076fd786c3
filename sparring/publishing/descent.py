"""What was made from a row: the row itself, its children, and theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

COLUMNS = ["id", "parent_ids", "root_ids"]


def touched(table: pa.Table, ids: pa.Array) -> pa.Array:
    """Mask of the rows that are one of `ids` or name one as parent or root."""
    mask = pc.fill_null(pc.is_in(table["id"], value_set=ids), False).to_numpy(zero_copy_only=False).copy()
    for name in COLUMNS[1:]:
        start = 0
        for chunk in table[name].chunks:
            rows = pc.list_parent_indices(chunk).to_numpy()
            hit = pc.is_in(pc.list_flatten(chunk), value_set=ids).to_numpy(zero_copy_only=False)
            mask[np.unique(rows[hit]) + start] = True
            start += len(chunk)
    return pa.array(mask, pa.bool_())


def closure(tables: Sequence[pa.Table], ids: Iterable[str]) -> set[str]:
    """`ids` and the ids of every row in `tables` (of `COLUMNS`) that descends from one of them, over any number of steps."""
    found, fresh = set(ids), set(ids)
    while fresh:
        wanted = pa.array(sorted(fresh), pa.string())
        reached = {id for table in tables for id in table["id"].filter(touched(table, wanted)).to_pylist()}
        fresh = reached - found
        found |= fresh
    return found
