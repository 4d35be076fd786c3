"""Anybody's rows as arrays: a Hugging Face data set, parquet, csv, JSON lines, a folder of them, or what is in memory."""

from __future__ import annotations

import itertools
import math
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sparring import vision
from sparring.errors import DataError
from sparring.record import BENIGN, digest
from sparring.spool import Spool

from . import crowd
from .sources import batches, opened

HARMLESS = (BENIGN, "ham", "ok", "safe", "clean", "normal", "neutral", "none", "legit", "not_spam", "non-toxic")
LONGEST = 100_000  # characters
MOST_LABELS = 1000
MANY = 20  # labelled rows from which a label has to stand twice, on average


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
    annotators: tuple[str, ...] = ()  # labels of several people: a column each, or one of lists; see `crowd.voices`
    renamed: Mapping[str, str] = field(default_factory=dict)  # label as it stands in the column -> what it is called


@dataclass(frozen=True, slots=True)
class Rows:
    """n usable rows in the order of their ids, so that no result depends on the order of the source.

    `number` (n,) is the row's place in the source; `labels` (n,) int into `names`, -1 where there is none; `benign` the number
    of the harmless label, None where the labels know none. `texts` or `images` (encoded files), or neither: they stand on disk
    and are read a row at a time; `vectors` (n, d) and `scores` (n, k) as the user has them, `dynamics` (n, k) the mean
    probabilities over the epochs of a training; `lineage` (n,) int; `attributes` name -> (n,) str. `annotations` (n, a) int are
    what each of `annotators` said, -1 for nothing. `rejected`: (place, reason).
    """

    source: str
    ids: tuple[str, ...]
    number: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray
    benign: int | None = None
    texts: Sequence[str] | None = None
    images: Sequence[bytes] | None = None
    vectors: np.ndarray | None = None
    scores: np.ndarray | None = None
    lineage: np.ndarray | None = None
    attributes: Mapping[str, np.ndarray] = field(default_factory=dict)
    rejected: tuple[tuple[int, str], ...] = ()
    dynamics: np.ndarray | None = None
    annotators: tuple[str, ...] = ()
    annotations: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def benign_first(self) -> np.ndarray:
        """(n,) int: labels as parts that know a benign label number them, 0 for it and -1 for none; without one, none is 0."""
        return np.where(self.labels < 0, -1, np.where(self.labels == self.benign, 0, self.labels + 1))


def read(
    source: Any, columns: Columns, *, split: str | None = None, names: Sequence[str] = (), benign: str | None = None,
    vectors: np.ndarray | None = None, scores: np.ndarray | None = None, dynamics: np.ndarray | None = None,
    scratch: pathlib.Path | None = None,
) -> Rows:  # fmt: skip
    """`source` is a path, a folder, a data set's name on the hub, a `datasets.Dataset`, or a mapping of columns.

    `names` fixes the labels and their order (a policy's); without it a `ClassLabel`'s order or the alphabet's holds. `vectors`,
    `scores` and `dynamics` may be arrays, or memory maps, in the source's order. Texts and images are copied to a file without
    a name in the folder `scratch`, by default the system's for such files. Raises `DataError` where the source as a whole is at
    fault; single faulty rows are set apart in `rejected`.
    """
    data, name = opened(source, split)
    columns = _guessed(columns, data)
    _check(columns, data, name)
    found = _scanned(data, source, columns, scratch)
    given = _given(found.columns[columns.labels], columns, name, columns.labels) if columns.labels else [None] * len(data)
    voices = crowd.voices(found.columns, columns.annotators, data.features)
    said = {who: _given(values, columns, name, f"annotator {who}") for who, values in voices.items()}
    all_given = [*given, *itertools.chain(*said.values())]
    known = tuple(names) or _names(data, columns, all_given)
    number = {label: i for i, label in enumerate(known)}
    _known([label if label is None else str(label) for label in all_given], known, name)
    texts = [label if label is None else str(label) for label in given]
    told = {who: [label if label is None else str(label) for label in labels] for who, labels in said.items()}
    people = crowd.matrix(told, number) if told else None
    if people is not None and not columns.labels:
        texts = [known[i] if i >= 0 else None for i in crowd.vote(people)]
    rejected = found.faults
    for i, who in np.argwhere(people == -2).tolist() if people is not None else ():
        label = str(list(told.values())[who][i])[:40]
        rejected.setdefault(i, f"label {label!r} of an annotator is none of {', '.join(known)}")
    rejected |= {i: f"label {label[:40]!r} is none of {', '.join(known)}" for i, label in enumerate(texts)
                 if label is not None and label not in number and i not in rejected}  # fmt: skip
    kept = [i for i in range(len(data)) if i not in rejected]
    if len(data) and not kept:
        most, count = Counter(rejected.values()).most_common(1)[0]
        raise DataError(f"{name}: expected usable rows, found none of {len(data)} (most: {most}, {count} rows)")
    keys = found.columns[columns.key] if columns.key else None
    ids = _ids([found.own[i] for i in kept], [texts[i] for i in kept], [keys[i] for i in kept] if keys else None, name)
    order = np.array(sorted(range(len(kept)), key=ids.__getitem__), np.int64)
    rows = np.array(kept, np.int64)[order]
    held = found.content.taken(rows)
    return Rows(
        name, tuple(ids[i] for i in order), rows, known,
        np.array([number.get(texts[i] or "", -1) if texts[i] is not None else -1 for i in rows], np.int64),
        _benign(known, benign),
        held if columns.text else None, held if columns.image else None,
        _array(vectors, data, columns.vectors, rows, "vectors"), _array(scores, data, columns.scores, rows, "scores"),
        _lineage(found.columns[columns.lineage], rows) if columns.lineage else None,
        {a: np.array([str(v) for v in found.columns[a]])[rows] for a in columns.attributes},
        tuple(sorted(rejected.items())), _array(dynamics, data, None, rows, "dynamics"),
        tuple(said), None if people is None else people[rows],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Scan:
    """What one walk over a source keeps of its rows: `content` on disk, empty where there is a fault; `own` hashes of it;
    `columns` those that are no content, by name; `faults` by row."""

    content: Spool[Any]
    own: list[str]
    columns: dict[str, list[Any]]
    faults: dict[int, str]


def _scanned(data: Any, source: Any, columns: Columns, scratch: pathlib.Path | None) -> _Scan:
    single = (columns.labels, columns.key, columns.lineage, *columns.attributes, *columns.annotators)
    beside = [name for name in dict.fromkeys(single) if name]
    content = columns.text or columns.image
    out = _Scan(Spool(folder=scratch), [], {name: [] for name in beside}, {})
    same: dict[Any, Any] = {}  # a label's name is there once, not once a row
    for batch in batches(data, source, list(dict.fromkeys([*beside, *filter(None, [content])]))):
        for item in batch[content or str(columns.key)]:  # a message may be a number, and so may a key
            value = _bytes(item) if columns.image else str(item) if not content or isinstance(item, (int, float)) else item
            if reason := _fault(value):
                out.faults[len(out.own)] = reason
                value = b"" if columns.image else ""
            out.own.append("" if columns.key else digest(value.hex() if isinstance(value, bytes) else value))
            out.content.add(value)
        for name in beside:
            out.columns[name] += [same.setdefault(v, v) if isinstance(v, str) else v for v in _decoded(data, name, batch[name])]
    return out


def _guessed(columns: Columns, data: Any) -> Columns:
    """With the content's column where it was not named and only one can be meant."""
    from datasets import Image

    if columns.text or columns.image:
        return columns
    if images := [n for n, f in data.features.items() if isinstance(f, Image)]:
        return replace(columns, image=images[0])
    taken = {columns.labels, columns.key, columns.lineage, *columns.attributes, *columns.annotators}
    strings = [n for n, f in data.features.items() if getattr(f, "dtype", "") in ("string", "large_string") and n not in taken]
    usual = [n for n in strings if n.lower() in ("text", "content", "message", "comment", "sentence", "body")]
    return replace(columns, text=(usual or strings or [None])[0])


def _named(columns: Columns) -> list[str | None]:
    single = [columns.labels, columns.text, columns.image, columns.key, columns.vectors, columns.scores, columns.lineage]
    return [*single, *columns.attributes, *columns.annotators]


def _check(columns: Columns, data: Any, name: str) -> None:
    missing = [c for c in _named(columns) if c and c not in data.column_names]
    if missing:
        raise DataError(
            f"{name}: expected the column {missing[0]!r}; found {', '.join(data.column_names)}. Fix: name one of them"
        )
    if columns.labels is not None and columns.labels in (columns.text, columns.image):
        raise DataError(f"{name}: expected labels in a column of their own; {columns.labels!r} is also the content")
    kind = str(getattr(data.features[columns.text], "dtype", "values")) if columns.text else "string"
    if not kind.startswith(("string", "large_string", "int", "uint", "float", "null")):
        raise DataError(f"{name}: expected texts in the column {columns.text!r}; got {kind}. Fix: --text NAME, or --image NAME")
    if not (columns.text or columns.image or columns.key):
        raise DataError(
            f"{name}: expected a column of texts or images; found {', '.join(data.column_names)}. "
            "Fix: --text NAME, or --key NAME for rows told by vectors alone"
        )


def _bytes(item: Any) -> bytes | None:
    if item is None or item.get("bytes"):
        return item and item["bytes"]
    return pathlib.Path(item["path"]).read_bytes() if item.get("path") and pathlib.Path(item["path"]).is_file() else None


def _decoded(data: Any, name: str, values: list[Any]) -> list[Any]:
    from datasets import ClassLabel

    feature = data.features[name]
    if isinstance(feature, ClassLabel):
        return [None if v is None or v < 0 else feature.int2str(v) for v in values]
    return values


def _given(values: Sequence[Any], columns: Columns, name: str, of: str) -> list[Any]:
    """Labels as they were given: no space around them, whole floats as integers, as a column with gaps has them; None for
    none."""
    given = [_label(value) for value in values]
    if strange := next((v for v in given if not isinstance(v, (str, int, float, type(None)))), None):
        raise DataError(
            f"{name}: expected one label a row in {of!r}; got {type(strange).__name__} {str(strange)[:40]}. "
            "Fix: a column with one label a row"
        )
    return [columns.renamed.get(str(v), v) if v is not None else None for v in given]


def _label(value: Any) -> Any:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, float):
        return None if math.isnan(value) else int(value) if value.is_integer() else value
    return value


def _known(given: Sequence[str | None], known: Sequence[str], name: str) -> None:
    """Raises `DataError` where most labels are not the policy's: that is another naming, and no matter of single rows."""
    said = Counter(label for label in given if label is not None)
    others = [label for label, _ in said.most_common() if label not in known]
    if 2 * sum(said[label] for label in others) > sum(said.values()):
        few = ", ".join(repr(label[:40]) for label in others[:5])
        raise DataError(
            f"{name}: expected the labels {', '.join(known)}; got {few} in {sum(said[o] for o in others)} of "
            f"{sum(said.values())} labelled rows. Fix: --rename {others[0][:40]}={known[0]}, once for each label"
        )


def _names(data: Any, columns: Columns, given: Sequence[Any]) -> tuple[str, ...]:
    from datasets import ClassLabel

    of = columns.labels or next(iter(columns.annotators), None)
    if of is None:
        return ()
    if isinstance(feature := data.features[of], ClassLabel):
        return tuple(dict.fromkeys(columns.renamed.get(label, label) for label in feature.names))
    found = {label for label in given if label is not None}
    labelled = sum(label is not None for label in given)
    if len(found) > MOST_LABELS or (labelled >= MANY and 2 * len(found) > labelled):
        raise DataError(
            f"column {of!r}: expected labels, found {len(found)} different values in {labelled} rows. Fix: name another column"
        )
    numeric = all(isinstance(label, (int, float)) for label in found)
    return tuple(str(label) for label in (sorted(found) if numeric else sorted(found, key=str)))


def _lineage(values: Sequence[Any], rows: np.ndarray) -> np.ndarray:
    """(n,) int of the rows that are kept: equal where the origin is; a row without one is an origin of its own."""
    told = [f"row {i}" if values[i] is None else f"origin {values[i]}" for i in rows]
    return np.unique(told, return_inverse=True)[1]


def _benign(names: Sequence[str], benign: str | None) -> int | None:
    if benign is not None and benign not in names:
        raise DataError(f"expected the harmless label out of {', '.join(names) or 'none'}; got {benign!r}. Fix: --benign")
    wanted = [benign] if benign is not None else [n for n in names if n.lower() in HARMLESS]
    return names.index(wanted[0]) if wanted else None


def _fault(item: Any) -> str:
    if item is None:
        return "empty"
    if isinstance(item, bytes):
        return vision.fault(item) if item else "empty"
    if not isinstance(item, str):
        return "text is no string"
    if not item.strip():
        return "empty"
    return "" if len(item) <= LONGEST else f"longer than {LONGEST} characters"


def _ids(own: Sequence[str], labels: Sequence[str | None], keys: list[Any] | None, name: str) -> list[str]:
    """The key, or a hash of the content; rows with the same content are numbered, by label, so that order does not matter."""
    if keys is not None:
        if None in keys:
            raise DataError(f"{name}: expected a key for each row; {keys.count(None)} have none. Fix: leave --key out")
        ids = [str(key) for key in keys]
        if len(set(ids)) < len(ids):
            key, count = Counter(ids).most_common(1)[0]
            raise DataError(f"{name}: expected keys that are unique; {key[:40]!r} stands {count} times. Fix: leave --key out")
        return ids
    order, seen, out = sorted(range(len(own)), key=lambda i: (own[i], labels[i] or "")), Counter[str](), list(own)
    for i in order:
        seen[own[i]] += 1
        if seen[own[i]] > 1:
            out[i] = f"{own[i]}-{seen[own[i]]}"
    return out


def _array(given: np.ndarray | None, data: Any, column: str | None, rows: np.ndarray, what: str) -> np.ndarray | None:
    if given is None and column is None:
        return None
    found = given if given is not None else np.asarray(data.select_columns([column]).with_format("numpy")[column][:])
    n = len(data)
    if found.ndim != 2 or len(found) != n or not found.shape[1]:
        got = f"{found.shape}" if found.dtype != object else "rows of different lengths, or none in some"
        raise DataError(
            f"expected {what} of shape ({n}, d), a row for each row of the source; got {got}. Fix: as many numbers in each row"
        )
    if found.dtype.kind not in "fiub":
        raise DataError(f"expected {what} as real numbers; got {found.dtype}. Fix: .astype('float32')")
    return np.asarray(found[rows], np.float32)
