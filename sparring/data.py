"""The user's labelled data: read from anywhere, faulty rows set apart, split once by near-duplicate group."""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import refs
from .errors import DataError
from .jobs import DataSettings
from .media import Content
from .policy import Policy
from .record import BENIGN, SPLITS, Record, digest, real


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be used, and why; never its text."""

    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Usable rows, unique by content, each with its split; `by` picks a split."""

    records: tuple[Record, ...]
    rejected: tuple[Reject, ...]

    def by(self, split: str, *, violating: bool | None = None) -> list[Record]:
        return [r for r in self.records if r.split == split and (violating is None or (r.label_name != BENIGN) == violating)]


def load(settings: DataSettings, policy: Policy, *, base: pathlib.Path, seed: int) -> Corpus:
    """Reads, checks and splits. Raises `DataError` when the file as a whole is at fault."""
    medium = settings.medium
    rows: dict[Content, tuple[str, str]] = {}
    rejected: list[Reject] = []
    mapping = settings.labels or {name: name for name in policy.labels}
    found: Counter[str] = Counter()
    total = 0
    for total, (key, content, label) in enumerate(_read(settings, base), 1):
        reason = medium.fault(content)
        if reason:
            rejected.append(Reject(total, reason))
            continue
        found[str(label)] += 1
        if str(label) in mapping:
            kept = content.strip() if isinstance(content, str) else content
            rows.setdefault(kept, (key or digest(kept), mapping[str(label)]))
    if found.keys() - mapping.keys():
        raise DataError(_unmapped(settings, policy, mapping, found))
    if total and len(rejected) > settings.max_bad_rows * total:
        most = Counter(r.reason for r in rejected).most_common(1)[0]
        raise DataError(
            f"{settings.source}: expected at most {settings.max_bad_rows:.1%} faulty rows, found {len(rejected)} of {total} "
            f"(most: {most[0]}, {most[1]} rows). Fix the rows, or raise data.max_bad_rows"
        )
    contents, keys, labels = list(rows), [k for k, _ in rows.values()], [label for _, label in rows.values()]
    _check_classes(settings, policy, labels)
    group = medium.groups(contents)
    language = settings.language or (policy.language if medium.speaks else None)
    part = split([policy.labels.index(label) for label in labels], group, tuple(settings.split.values()), seed)
    names = list(settings.split)
    records = tuple(
        real(
            source=settings.source, key=key, label_name=label, language=language,
            policy=policy.name, policy_version=policy.version, group=f"g{g}", split=names[p], **medium.fields(content),
        )
        for key, content, label, g, p in zip(keys, contents, labels, group, part, strict=True)
    )  # fmt: skip
    _check_splits(settings, policy, records)
    corpus = Corpus(records, tuple(rejected))
    judge_rows(corpus, seed)  # said now, not after the first hour
    return corpus


def split(labels: Sequence[int], group: np.ndarray, parts: Sequence[float], seed: int) -> np.ndarray:
    """(n,) int: the part of each row. A group stands in one part only; classes are balanced as far as groups allow."""
    rng = np.random.default_rng(seed)
    out: dict[int, int] = {}
    y = np.asarray(labels)
    for label in np.unique(y):
        ids = rng.permutation(np.unique(group[y == label]))
        for number, chunk in enumerate(np.split(ids, (np.cumsum(parts)[:-1] * len(ids)).astype(int))):
            for g in chunk:
                out.setdefault(int(g), number)  # a group of several labels goes where its first label put it
    return np.array([out[int(g)] for g in group])


def judge_rows(corpus: Corpus, seed: int) -> tuple[list[Record], list[Record]]:
    """The judge split in two by group: the filter's rows and the audit's. Raises `DataError` where a label is too rare."""
    rows = corpus.by("judge")
    number = {group: i for i, group in enumerate(dict.fromkeys(r.group for r in rows))}
    labels = sorted({r.label_name for r in corpus.records}, key=lambda name: (name != BENIGN, name))
    part = split([labels.index(r.label_name) for r in rows], np.array([number[r.group] for r in rows]), (0.5, 0.5), seed)
    halves = [r for r, p in zip(rows, part, strict=True) if p == 0], [r for r, p in zip(rows, part, strict=True) if p == 1]
    for half in halves:
        count = Counter(r.label_name for r in half)
        for label in labels:
            if count[label] < 2:
                raise DataError(
                    f"the split 'judge' holds {sum(r.label_name == label for r in rows)} rows labelled {label!r}; two judges "
                    "need at least 2 each, no near duplicates. Fix: a larger share for `judge` in data.split, or more rows"
                )
    return halves


def _read(settings: DataSettings, base: pathlib.Path) -> Iterator[tuple[str | None, Any, Any]]:
    """(key, content, label) of each row; a text is bytes where it is no UTF-8."""
    found = refs.data(settings.source, base=base)
    if settings.format in ("tsv", "csv") and not settings.image and not found.remote:
        rows = _delimited(pathlib.Path(found.place), settings)
    else:
        rows = _dataset(found, settings)
    for row in rows:
        yield (str(row[settings.key]) if settings.key else None), row[settings.image or settings.text], row[settings.label]


def _delimited(path: pathlib.Path, settings: DataSettings) -> Iterator[dict[str, Any]]:
    import csv

    separator = "\t" if settings.format == "tsv" else ","
    lines = path.read_bytes().split(b"\n") if settings.format == "tsv" else path.read_bytes().splitlines(keepends=True)
    # Latin-1 keeps every byte, so that one bad row does not hide the others.
    texts = (line.decode("latin-1") for line in lines if line.strip())
    quoting: Any = csv.QUOTE_NONE if settings.format == "tsv" else csv.QUOTE_MINIMAL
    csv.field_size_limit(1 << 30)
    reader = csv.reader(
        (t.rstrip("\r") for t in texts) if settings.format == "tsv" else texts, delimiter=separator, quoting=quoting
    )
    header = settings.columns or [_utf8(name) for name in next(reader, [])]
    _check_columns(settings, header)
    for row in reader:
        cells = [_utf8(cell) for cell in row[: len(header) - 1]]
        rest = separator.join(row[len(header) - 1 :])  # the last column may hold the separator
        cells.append(_utf8(rest))
        yield dict(zip(header, cells + [None] * (len(header) - len(cells)), strict=True))


def _utf8(cell: str) -> Any:
    raw = cell.encode("latin-1")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


def _dataset(found: refs.Data, settings: DataSettings) -> Iterator[dict[str, Any]]:
    from datasets import ClassLabel, Image, load_dataset
    from datasets.exceptions import DatasetsError

    loader = {"jsonl": "json"}.get(settings.format, settings.format if settings.format != "dataset" else None)
    if found.remote:  # which file is of which format the hub knows
        try:
            loaded = load_dataset(found.place, revision=found.revision)
        except (DatasetsError, OSError) as error:
            raise refs.missing(settings.source, error) from None
    else:
        loaded = load_dataset(loader, data_files=found.place) if loader else load_dataset(found.place)
    first = next(iter(loaded.values()))
    _check_columns(settings, first.column_names)
    feature, content = first.features[settings.label], settings.image or settings.text
    for part in loaded.values():
        if settings.image:  # as files: a picture that can't be read is one faulty row, not the end of the run
            part = part.cast_column(settings.image, Image(decode=False))
        for row in part.select_columns([c for c in (settings.key, content, settings.label) if c]):
            if settings.image:
                row[content] = _file(row[content])
            if isinstance(feature, ClassLabel) and row[settings.label] is not None:
                row[settings.label] = feature.int2str(row[settings.label])
            yield row


def _file(image: dict[str, Any] | None) -> bytes | None:
    """The bytes of an image as `datasets` holds it: in the row, or beside it."""
    if not image:
        return None
    path = pathlib.Path(image["path"]) if image.get("path") else None
    return image["bytes"] or (path.read_bytes() if path and path.is_file() else None)


def _check_columns(settings: DataSettings, found: Sequence[Any]) -> None:
    content = settings.image or settings.text
    missing = [c for c in (content, settings.label, settings.key) if c and c not in found]
    if missing:
        raise DataError(
            f"{settings.source}: expected the columns {content!r} and {settings.label!r}; "
            f"found {', '.join(map(repr, found))}. Fix: set data.{'image' if settings.image else 'text'} and data.label"
            + (" (and data.columns for a file without a header)" if settings.format in ("tsv", "csv") else "")
        )


def _unmapped(settings: DataSettings, policy: Policy, mapping: dict[str, str], found: Counter[str]) -> str:
    unknown = {label: n for label, n in found.most_common() if label not in mapping}
    guesses = [BENIGN, *(policy.labels[1:] * len(found))]
    lines = "\n".join(
        f"    {label!r}: {mapping.get(label, guess)}" for (label, _), guess in zip(found.most_common(12), guesses, strict=False)
    )
    return (
        f"{settings.source}: expected labels out of {', '.join(policy.labels)}; found "
        f"{', '.join(f'{label!r} ({n} rows)' for label, n in list(unknown.items())[:6])}. Fix: write, with the right names,\n"
        f"  labels:\n{lines}"
    )


def _check_classes(settings: DataSettings, policy: Policy, labels: Sequence[str]) -> None:
    count = Counter(labels)
    for name in policy.labels:
        if not count[name]:
            raise DataError(f"{settings.source}: expected rows labelled {name!r}, found none out of {len(labels)}")


def _check_splits(settings: DataSettings, policy: Policy, records: Sequence[Record]) -> None:
    count = Counter((r.split, r.label_name) for r in records)
    for name in SPLITS:
        for label in policy.labels:
            if not count[name, label]:
                raise DataError(
                    f"{settings.source}: the split {name!r} holds no row labelled {label!r}; near duplicates stay together. "
                    "Fix: more rows of that label, or a larger share in data.split"
                )
