"""How the tests of publishing look at a dataset, on disk or in a repository's files."""

from __future__ import annotations

import io
import pathlib

import datasets
import pyarrow.parquet as pq

TOKEN = "hf_" + "s3cr3t" * 5
REPO = "ada/spam"


def rows(folder: pathlib.Path, cache: pathlib.Path) -> dict[str, list[dict]]:
    return {split: part.to_list() for split, part in datasets.load_dataset(str(folder), cache_dir=str(cache)).items()}


def local(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def ids(files: dict[str, bytes]) -> list[str]:
    """Ids of all rows in the shards, a copy each."""
    return [
        id for path, data in sorted(files.items()) if path.startswith("data/") and path.endswith(".parquet")
        for id in pq.read_table(io.BytesIO(data), columns=["id"])["id"].to_pylist()
    ]  # fmt: skip


def table(files: dict[str, bytes], name: str) -> list[dict]:
    """A side table, or the rows (`data`), out of files."""
    return [
        row for path, data in sorted(files.items()) if path.startswith(f"{name}/") and path.endswith(".parquet")
        for row in pq.read_table(io.BytesIO(data)).to_pylist()
    ]  # fmt: skip
