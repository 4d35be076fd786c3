"""Images with labels to learn from: a folder of folders, or a data set with a column of images."""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparring import vision
from sparring.errors import DataError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
LOADERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json"}


@dataclass(frozen=True, slots=True)
class Examples:
    """Encoded files and as many labels; `rejected`: reason -> how many rows were left out."""

    images: tuple[bytes, ...]
    labels: tuple[str, ...]
    rejected: Mapping[str, int]


def read(source: str, *, image: str = "image", label: str = "label", split: str | None = None) -> Examples:
    """A folder with a subfolder of images for each label, a parquet or JSON lines file, or a data set on the hub (`hf://`).

    Damaged images and rows without a label are left out and counted. Raises `DataError` where nothing is left, or nothing of a
    label.
    """
    path = pathlib.Path(source)
    rows = _folders(path) if path.is_dir() else _dataset(source, image, label, split)
    if not rows:
        raise DataError(f"{source}: expected a subfolder of images for each label, or rows; found none")
    rejected: Counter[str] = Counter()
    kept = []
    for data, name in rows:
        reason = "no label" if name is None else vision.fault(data)
        if reason:
            rejected[reason] += 1
        else:
            kept.append((data, name))
    if not kept:
        raise DataError(f"{source}: expected images with labels; of {len(rows)} rows none: {dict(rejected)}")
    images, labels = zip(*kept, strict=True)
    if empty := sorted(_named(path, rows) - set(labels)):
        where = f"its folder {path / empty[0]}" if path.is_dir() else "its rows"
        raise DataError(
            f"{source}: expected an image of each label, found none of {empty[0]!r} that can be read. "
            f"Fix: add some, or take {where} away"
        )
    return Examples(images, labels, dict(rejected))


def _named(path: pathlib.Path, rows: Sequence[tuple[Any, str | None]]) -> set[str]:
    """The labels that the source names: of rows, or of subfolders, empty ones too."""
    if path.is_dir():
        return {found.name for found in path.iterdir() if found.is_dir() and not found.name.startswith((".", "_"))}
    return {name for _, name in rows if name is not None}


def _folders(path: pathlib.Path) -> list[tuple[bytes, str | None]]:
    files = sorted(f for f in path.glob("*/*") if f.suffix.lower() in SUFFIXES)
    return [(file.read_bytes(), file.parent.name) for file in files]


def _dataset(source: str, image: str, label: str, split: str | None) -> list[tuple[Any, str | None]]:
    from datasets import ClassLabel, Image, load_dataset

    path = pathlib.Path(source)
    if source.startswith("hf://"):
        loaded = load_dataset(source.removeprefix("hf://"), split=split or "train")
    elif not path.is_file() or path.suffix.lower() not in LOADERS:
        raise DataError(f"{source}: expected a folder, a file that ends in {', '.join(LOADERS)}, or hf://ORG/NAME")
    else:
        loaded = load_dataset(LOADERS[path.suffix.lower()], data_files=source, split="train")
    for column, option in ((image, "--image"), (label, "--label")):
        if column not in loaded.column_names:
            columns = ", ".join(loaded.column_names)
            raise DataError(f"{source}: expected the column {column!r} out of {columns}. Fix: {option} NAME")
    kind = loaded.features[label]
    said = loaded[label]
    names = [None if v is None or v == -1 else kind.int2str(v) if isinstance(kind, ClassLabel) else str(v) for v in said]
    cells = loaded.cast_column(image, Image(decode=False))[image]
    return [(_file(cell), name) for cell, name in zip(cells, names, strict=True)]


def _file(cell: Any) -> bytes | None:
    if not cell:
        return None
    return cell["bytes"] if cell.get("bytes") else pathlib.Path(cell["path"]).read_bytes()
