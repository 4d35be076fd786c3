"""Draws examples/data/flyers.parquet for flyers.yaml: image spam, and notices that look alike.

python examples/flyers.py [OUT.parquet [ROWS]]
"""

from __future__ import annotations

import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq

from sparring.protocols import Brief
from synth.images.flyer import Flyer

OUT = pathlib.Path(__file__).parent / "data" / "flyers.parquet"
ROWS, SIDE = 300, 400


def main(out: pathlib.Path = OUT, count: int = ROWS) -> None:
    briefs = [Brief("benign" if i % 3 else "spam", i) for i in range(count)]
    drawn = Flyer(size=SIDE, tricks=["none"]).draw(briefs)
    rows = [
        {"image": {"bytes": one.image, "path": None}, "label": brief.label}
        for one, brief in zip(drawn, briefs, strict=True)
        if one.image is not None
    ]
    out.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), out)
    print(f"{len(rows):,} flyers in {out}")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:2]), *map(int, sys.argv[2:3]))
