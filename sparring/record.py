"""`Record`: one sample, frozen, with its lineage. One Arrow schema for ever; what is learned later goes to side tables."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from datasets import Features

    from .policy import Policy

SCHEMA_VERSION = 1
BENIGN = "benign"
SPLITS = ("train", "validation", "judge", "test")


def digest(*parts: Any) -> str:
    """24 hex digits over the canonical JSON of `parts`: the one hash behind every id and key."""
    blob = _CANONICAL.encode(parts)
    return hashlib.blake2b(blob.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, bytes):
        return hashlib.blake2b(value, digest_size=12).hexdigest()
    raise TypeError(f"expected plain data to hash, got {type(value).__name__}")


_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """What made a synthetic row; enough to make it again."""

    name: str
    model: str | None = None
    revision: str | None = None
    licence: str | None = None
    seed: int | None = None
    parameters: str = "{}"  # JSON

    @classmethod
    def of(cls, said: Mapping[str, Any], *, seed: int, parameters: str, name: str = "") -> Generator:
        """From what a model says of itself (its `describe`); `name` is what used it, where that is something else."""
        model, revision, licence = (said.get(key) for key in ("model", "revision", "licence"))
        return cls(name=name or said["name"], model=model, revision=revision, licence=licence, seed=seed, parameters=parameters)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One operator that was applied, in order."""

    name: str
    strength: float
    seed: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One sample. `label_name` is the truth; `label` is its number in the policy's append-only list of labels."""

    id: str
    work_id: str
    text: str | None = None
    image: bytes | None = None
    audio: bytes | None = None
    video: bytes | None = None
    language: str | None = None
    label_name: str
    labels: tuple[str, ...] = ()
    clause: str | None = None
    severity: int | None = None
    policy: str
    policy_version: str
    pair_id: str | None = None
    origin: str
    generator: Generator | None = None
    parent_ids: tuple[str, ...] = ()
    root_ids: tuple[str, ...] = ()
    operators: tuple[Step, ...] = ()
    round: int | None = None
    group: str = ""
    split: str = ""

    @property
    def content(self) -> str | bytes:
        """What a classifier is asked about: the image as a file where there is one, else the text."""
        return self.image if self.image is not None else self.text or ""

    @property
    def content_hash(self) -> str:
        return digest(self.text, *(m or None for m in (self.image, self.audio, self.video)))


def real(*, source: str, key: str, **fields: Any) -> Record:
    """A row of the user's data: its id is source and row key, so that the same row keeps its id for ever."""
    name = f"{source}#{key}"
    return Record(id=name, work_id=name, origin="real", root_ids=(name,), **fields)


def synthetic(*, work: Any, index: int = 0, **fields: Any) -> Record:
    """A made row: `work` is everything that went in; a rerun of the same work has the same id."""
    work_id = digest(work)
    return Record(id=f"{work_id}-{index}", work_id=work_id, origin="synthetic", **fields)


_MEDIA = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_STRINGS = pa.list_(pa.string())

SCHEMA = pa.schema(
    [
        ("id", pa.string()), ("work_id", pa.string()), ("content_hash", pa.string()),
        ("text", pa.string()), ("image", _MEDIA), ("audio", _MEDIA), ("video", _MEDIA), ("language", pa.string()),
        ("label_name", pa.string()), ("label", pa.int64()), ("labels", _STRINGS), ("clause", pa.string()),
        ("severity", pa.int64()), ("policy", pa.string()), ("policy_version", pa.string()), ("pair_id", pa.string()),
        ("origin", pa.string()),
        ("generator", pa.struct([("name", pa.string()), ("model", pa.string()), ("revision", pa.string()),
                                 ("licence", pa.string()), ("seed", pa.int64()), ("parameters", pa.string())])),
        ("parent_ids", _STRINGS), ("root_ids", _STRINGS),
        ("operators", pa.list_(pa.struct([("name", pa.string()), ("strength", pa.float64()), ("seed", pa.int64())]))),
        ("round", pa.int64()), ("group", pa.string()), ("split", pa.string()),
    ],
    metadata={"sparring.schema": str(SCHEMA_VERSION)},
)  # fmt: skip


def to_table(records: Iterable[Record], labels: tuple[str, ...]) -> pa.Table:
    """Records as Arrow rows; `labels` is the policy's label list, benign first."""
    numbers = {name: i for i, name in enumerate(labels)}
    rows = []
    for record in records:
        row = dataclasses.asdict(record)
        row["content_hash"], row["label"] = record.content_hash, numbers[record.label_name]
        for medium in ("image", "audio", "video"):
            row[medium] = {"bytes": row[medium], "path": None} if row[medium] is not None else None
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def from_table(table: pa.Table) -> list[Record]:
    """The inverse of `to_table`; the derived columns `label` and `content_hash` are left out."""
    records = []
    for row in table.to_pylist():
        del row["label"], row["content_hash"]
        for medium in ("image", "audio", "video"):
            row[medium] = row[medium] and row[medium]["bytes"]
        row["generator"] = Generator(**row["generator"]) if row["generator"] else None
        row["operators"] = tuple(Step(**step) for step in row["operators"] or ())
        for column in ("labels", "parent_ids", "root_ids"):
            row[column] = tuple(row[column] or ())
        records.append(Record(**row))
    return records


def features(policy: Policy) -> Features:
    """The schema as `datasets.Features`, with the policy's labels as a `ClassLabel`."""
    return features_of(policy.labels)


def features_of(labels: Sequence[str]) -> Features:
    """`features` by the list of labels alone."""
    from datasets import Audio, ClassLabel, Features, Image, Video

    found = Features.from_arrow_schema(SCHEMA.remove_metadata())
    found.update(label=ClassLabel(names=list(labels)), image=Image(), audio=Audio(), video=Video())
    return found
