"""Peak memory of mining, measured: it does not grow with the size of the texts."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).parents[3]
ROWS = 500
# Memory that is given back shows at once. Left to itself, glibc takes buffers of several MB from the heap once a first one was
# freed: what reading gave back then stays with the process in pieces, and how much of it later parts use again is chance.
STEADY = {
    "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 22),
}  # fmt: skip
LETTERS = ("abcdefghijklm ", "nopqrstuvwxyz ")
MINE = f"""
import pathlib, sys, zlib
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from benchmarks.memory import peak_gb
from mining.dataset import command
from mining.dataset.mine import Settings
from mining.dataset.read import Columns
from sparring import minhash, registry
from sparring.embed import unit

class Hashed:
    name, dim = "hashed", 128

    def encode(self, texts):
        hashed = [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(128) for text in texts]
        return unit(np.asarray(hashed, np.float32) + np.array([[text.lstrip()[0] < "n"] for text in texts]))

minhash.HELD, minhash.PART, minhash.LED = 0, 1 << 15, 1 << 15  # what has a fixed size is small beside these few texts
plain = registry.make
registry.make = lambda kind, name, **more: Hashed() if name == "hashed" else plain(kind, name, **more)
file, out = map(pathlib.Path, sys.argv[1:])
columns = Columns(labels="label", text="text", key="key")
mined = command.run(str(file), columns, out, settings=Settings(budget=20, plantings=0), embedder="hashed")
print(peak_gb(), mined.result.table.num_rows, mined.result.verdicts["duplicate"])
"""


def peak(folder: pathlib.Path, size: int) -> float:
    """MB that mining held at most, of `ROWS` texts of `size` characters in two kinds, every tenth a near copy."""
    folder.mkdir()
    rng, texts = Random(0), list[str]()
    for i in range(ROWS):
        again = texts[i - 4][:-5] if i % 10 == 9 else "".join(rng.choices(LETTERS[i % 2], k=size))
        texts.append(f"{again} {i:04}")
    table = pa.table({"text": texts, "label": ["ab"[i % 2] for i in range(ROWS)], "key": [f"k{i:05}" for i in range(ROWS)]})
    pq.write_table(table, folder / "rows.parquet", row_group_size=50)
    env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"} | STEADY
    command = [sys.executable, "-c", MINE, str(folder / "rows.parquet"), str(folder / "out")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    held, rows, duplicates = done.stdout.split()[-3:]
    assert (int(rows), int(duplicates)) == (ROWS, ROWS // 10)
    return 1000 * float(held)


def test_memory_does_not_grow_with_the_texts(tmp_path):
    short, long = peak(tmp_path / "short", 4000), peak(tmp_path / "long", 60_000)
    assert long - short < 0.5 * ROWS * (60_000 - 4000) / 1e6, (short, long)
