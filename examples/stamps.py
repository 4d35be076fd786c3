"""Draws examples/data/stamps.parquet for images_sdxl.yaml and images_flux.yaml: stamps with a digit, large enough for a large
generator.

python examples/stamps.py [OUT.parquet [ROWS [SIDE]]]
"""

from __future__ import annotations

import io
import pathlib
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from sparring import vision
from sparring.protocols import Brief
from synth.images.dummy import Dummy

OUT = pathlib.Path(__file__).parent / "data" / "stamps.parquet"
ROWS, SIDE = 600, 512


def main(out: pathlib.Path = OUT, count: int = ROWS, side: int = SIDE) -> None:
    rows = []
    for number in range(count):
        digit = str(number % 10)
        (drawn,) = Dummy(size=side, channels=3).draw([Brief(digit, number)])
        held = io.BytesIO()
        Image.fromarray(vision.decoded(drawn.image or b"")).save(held, "JPEG", quality=90)
        rows.append({"image": {"bytes": held.getvalue(), "path": None}, "label": digit})
    out.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), out)
    print(f"{len(rows):,} stamps in {out}")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:2]), *map(int, sys.argv[2:4]))
