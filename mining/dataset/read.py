"""Anybody's rows as arrays: a Hugging Face data set, parquet, csv, JSON lines, a folder of them, or what is in memory."""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sparring import pixels
from sparring.errors import DataError
from sparring.record import BENIGN, digest

LOADERS = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".json": "json"}
HARMLESS = (BENIGN, "ham", "ok", "safe", "clean", "normal", "neutral", "none", "legit", "not_spam", "non-toxic")
LONGEST = 100_000  # characters
MOST_LABELS = 1000


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns. `text` or `image` holds the content; without either the rows are told by `vectors` alone."""

    labels: str | None = None
    text: str | None = None
    image: str | None = None
    key: str | None = None  # the row's own id; without it a hash of the content
    vectors: str | None = None  # (d,) floats a row
    scores: str | None = None  # (k,) floats a row, the target's, in the order of the labels
    lineage: str | None = None  # rows of one value stay together in folds
    attributes: tuple[str, ...] = ()  # to look for slices in


@dataclass(frozen=True, slots=True)
class Rows:
    """n usable rows in the order of their ids, so that no result depends on the order of the source.

    `number` (n,) is the row's place in the source; `labels` (n,) int into `names`, -1 where there is none; `benign` the number
    of the harmless label, None where the labels know none. `texts` or `images` (encoded files), or neither; `vectors` (n, d)
    and `scores` (n, k) as the user has them; `lineage` (n,) int; `attributes` name -> (n,) str. `rejected`: (place, reason).
    """

    source: str
    ids: tuple[str, ...]
    number: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray
    benign: int | None = None
    texts: tuple[str, ...] | None = None
    images: tuple[bytes, ...] | None = None
    vectors: np.ndarray | None = None
    scores: np.ndarray | None = None
    lineage: np.ndarray | None = None
    attributes: Mapping[str, np.ndarray] = field(default_factory=dict)
    rejected: tuple[tuple[int, str], ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


def read(
    source: Any, columns: Columns, *, split: str | None = None, names: Sequence[str] = (), benign: str | None = None,
    vectors: np.ndarray | None = None, scores: np.ndarray | None = None,
) -> Rows:  # fmt: skip
    """`source` is a path, a folder, a data set's name on the hub, a `datasets.Dataset`, or a mapping of columns.

    `names` fixes the labels and their order (a policy's); without it a `ClassLabel`'s order or the alphabet's holds. `vectors`
    and `scores` may be arrays, or memory maps, in the source's order. Raises `DataError` where the source as a whole is at
    fault; single faulty rows are set apart in `rejected`.
    """
    data, name = _open(source, split)
    columns = _guessed(columns, data)
    _check(columns, data, name)
    table = data.select_columns(list(dict.fromkeys(c for c in _named(columns) if c)))
    content = _content(table, columns)
    given = _column(table, columns.labels) if columns.labels else [None] * len(data)
    known = tuple(names) or _names(data, columns.labels, given)
    number = {label: i for i, label in enumerate(known)}
    texts = [label if label is None else str(label) for label in given]
    rejected = {i: reason for i, item in enumerate(content) if (reason := _fault(item))}
    rejected |= {i: f"label {label[:40]!r} is none of {', '.join(known)}" for i, label in enumerate(texts)
                 if label is not None and label not in number and i not in rejected}  # fmt: skip
    kept = [i for i in range(len(data)) if i not in rejected]
    if len(data) and not kept:
        most, count = Counter(rejected.values()).most_common(1)[0]
        raise DataError(f"{name}: expected usable rows, found none of {len(data)} (most: {most}, {count} rows)")
    keys = _column(table, columns.key) if columns.key else None
    ids = _ids([content[i] for i in kept], [texts[i] for i in kept], [keys[i] for i in kept] if keys else None, name)
    order = np.array(sorted(range(len(kept)), key=ids.__getitem__), np.int64)
    rows = np.array(kept, np.int64)[order]
    held = [content[i] for i in rows]
    return Rows(
        name, tuple(ids[i] for i in order), rows, known,
        np.array([number.get(texts[i] or "", -1) if texts[i] is not None else -1 for i in rows], np.int64),
        _benign(known, benign),
        tuple(held) if columns.text else None, tuple(held) if columns.image else None,
        _array(vectors, table, columns.vectors, rows, len(data), "vectors"),
        _array(scores, table, columns.scores, rows, len(data), "scores"),
        np.unique([str(v) for v in _column(table, columns.lineage)], return_inverse=True)[1][rows] if columns.lineage else None,
        {a: np.array([str(v) for v in _column(table, a)])[rows] for a in columns.attributes},
        tuple(sorted(rejected.items())),
    )  # fmt: skip


def _open(source: Any, split: str | None) -> tuple[Any, str]:
    from datasets import Dataset, DatasetDict, load_dataset

    if isinstance(source, Mapping) and not isinstance(source, DatasetDict):
        return Dataset.from_dict(dict(source)), "rows in memory"
    if not isinstance(source, (str, pathlib.Path)):
        loaded, name = source, "data set in memory"
    else:
        path, name = pathlib.Path(source), str(source)
        if path.is_file():
            if path.suffix not in LOADERS:
                raise DataError(f"{path}: expected a file that ends in {', '.join(LOADERS)}. Fix: convert it, or give a folder")
            extra = {"sep": "\t"} if path.suffix == ".tsv" else {}
            loaded = load_dataset(LOADERS[path.suffix], data_files=str(path), **extra)
        elif path.exists() or "/" in name or name.isidentifier():
            try:
                loaded = load_dataset(name)
            except (FileNotFoundError, ValueError, ConnectionError) as error:
                raise DataError(f"{name}: expected a file, a folder or a data set on the hub; {error}") from error
        else:
            raise DataError(f"{name}: expected a file, a folder or a data set on the hub; found none")
    if isinstance(loaded, DatasetDict):
        if split is None and len(loaded) > 1 and "train" not in loaded:
            raise DataError(f"{name}: expected a split to be named, there are {', '.join(loaded)}. Fix: --split NAME")
        wanted = split or ("train" if "train" in loaded else next(iter(loaded)))
        if wanted not in loaded:
            raise DataError(f"{name}: expected the split {wanted!r}, there are {', '.join(loaded)}")
        return loaded[wanted], name
    return loaded, name


def _guessed(columns: Columns, data: Any) -> Columns:
    """With the content's column where it was not named and only one can be meant."""
    from datasets import Image

    if columns.text or columns.image:
        return columns
    if images := [n for n, f in data.features.items() if isinstance(f, Image)]:
        return replace(columns, image=images[0])
    taken = {columns.labels, columns.key, columns.lineage, *columns.attributes}
    strings = [n for n, f in data.features.items() if getattr(f, "dtype", "") in ("string", "large_string") and n not in taken]
    usual = [n for n in strings if n.lower() in ("text", "content", "message", "comment", "sentence", "body")]
    return replace(columns, text=(usual or strings or [None])[0])


def _named(columns: Columns) -> list[str | None]:
    single = [columns.labels, columns.text, columns.image, columns.key, columns.vectors, columns.scores, columns.lineage]
    return [*single, *columns.attributes]


def _check(columns: Columns, data: Any, name: str) -> None:
    missing = [c for c in _named(columns) if c and c not in data.column_names]
    if missing:
        raise DataError(f"{name}: expected the column {missing[0]!r}; found {', '.join(data.column_names)}")
    if not (columns.text or columns.image or columns.key):
        raise DataError(
            f"{name}: expected a column of texts or images, or a key for rows told by vectors alone. Fix: --text NAME"
        )


def _content(table: Any, columns: Columns) -> list[Any]:
    if columns.text:
        return list(table[columns.text])
    if columns.image:
        from datasets import Image

        raw = table.cast_column(columns.image, Image(decode=False))
        return [_bytes(item) for item in raw[columns.image]]
    return [str(key) for key in table[columns.key]]


def _bytes(item: Any) -> bytes | None:
    if item is None or item.get("bytes"):
        return item and item["bytes"]
    return pathlib.Path(item["path"]).read_bytes() if item.get("path") and pathlib.Path(item["path"]).is_file() else None


def _column(table: Any, name: str) -> list[Any]:
    from datasets import ClassLabel

    feature, values = table.features[name], list(table[name])
    if isinstance(feature, ClassLabel):
        return [None if v is None or v < 0 else feature.int2str(v) for v in values]
    return values


def _names(data: Any, column: str | None, given: Sequence[Any]) -> tuple[str, ...]:
    from datasets import ClassLabel

    if column is None:
        return ()
    if isinstance(feature := data.features[column], ClassLabel):
        return tuple(feature.names)
    found = {label for label in given if label is not None}
    if len(found) > MOST_LABELS:
        raise DataError(f"column {column!r}: expected labels, found {len(found)} different values. Fix: name another column")
    numeric = all(isinstance(label, (int, bool)) for label in found)
    return tuple(str(label) for label in (sorted(found) if numeric else sorted(found, key=str)))


def _benign(names: Sequence[str], benign: str | None) -> int | None:
    if benign is not None and benign not in names:
        raise DataError(f"expected the harmless label out of {', '.join(names)}; got {benign!r}")
    wanted = [benign] if benign is not None else [n for n in names if n.lower() in HARMLESS]
    return names.index(wanted[0]) if wanted else None


def _fault(item: Any) -> str:
    if item is None:
        return "empty"
    if isinstance(item, bytes):
        return pixels.fault(item) if item else "empty"
    if not isinstance(item, str):
        return "text is no string"
    if not item.strip():
        return "empty"
    return "" if len(item) <= LONGEST else f"longer than {LONGEST} characters"


def _ids(content: Sequence[Any], labels: Sequence[str | None], keys: Sequence[Any] | None, name: str) -> list[str]:
    """The key, or a hash of the content; rows with the same content are numbered, by label, so that order does not matter."""
    if keys is not None:
        ids = [str(key) for key in keys]
        if len(set(ids)) < len(ids):
            key, count = Counter(ids).most_common(1)[0]
            raise DataError(f"{name}: expected keys that are unique; {key[:40]!r} stands {count} times")
        return ids
    own = [digest(item if isinstance(item, str) else item.hex()) for item in content]
    order, seen, out = sorted(range(len(own)), key=lambda i: (own[i], labels[i] or "")), Counter[str](), list(own)
    for i in order:
        seen[own[i]] += 1
        if seen[own[i]] > 1:
            out[i] = f"{own[i]}-{seen[own[i]]}"
    return out


def _array(given: np.ndarray | None, table: Any, column: str | None, rows: np.ndarray, n: int, what: str) -> np.ndarray | None:
    if given is None and column is None:
        return None
    found = given if given is not None else np.asarray(table.with_format("numpy")[column][:])
    if found.ndim != 2 or len(found) != n:
        raise DataError(f"expected {what} of shape ({n}, ...), a row for each row of the source; got {found.shape}")
    return np.asarray(found[rows], np.float32)
