"""`sparring.json`: what a dataset holds, shard by shard. The card and the Croissant metadata are made of it alone."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import pydantic

from ..errors import DataError
from ..policy import Policy
from ..record import SPLITS

NAME = "sparring.json"
CARD = "README.md"
CROISSANT = "croissant.json"
LAYOUT = 2  # of the files of a dataset: 1 had no manifest
SHARD = re.compile(rf"data/({'|'.join(SPLITS)})-([A-Za-z0-9][A-Za-z0-9._-]*)-(\d{{5}})\.parquet")
SIDES = ("labels", "tombstones", "scores", "fingerprints")  # append-only tables beside the rows, one more file a version


class _Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Count(_Strict):
    """So many rows of one kind. `generator`, `model` and `licence` are those of synthetic rows."""

    label: str
    origin: str
    language: str | None = None
    policy_version: str
    generator: str | None = None
    model: str | None = None
    licence: str | None = None
    rows: int


class Shard(_Strict):
    """One parquet file. `part` is who adds it: a job's real rows or one of its rounds. `content_bytes`: uncompressed.
    `described`: pictures whose files say something beside their pixels; None where nobody looked."""

    split: str
    part: str
    rows: int
    bytes: int
    content_bytes: int
    sha256: str
    counts: tuple[Count, ...]
    described: int | None = None


class Side(_Strict):
    """A file of a side table."""

    table: Literal["labels", "tombstones", "scores", "fingerprints"]
    rows: int
    bytes: int
    sha256: str


class Manifest(_Strict):
    """`version` counts what a repository has held, from 1; 0 is a folder that was never pushed."""

    layout: int = LAYOUT
    version: int = 0
    name: str
    policy: str
    policy_version: str
    policy_hash: str
    labels: tuple[str, ...]
    shards: dict[str, Shard]
    sides: dict[str, Side] = {}
    checked: int = 0  # rows that a person labelled
    accepted: tuple[str, ...] = ()  # licences whose terms for mixing the owners say don't bind them
    gone: dict[str, int] = {}  # rows that stood here once, by what became of them
    facts: dict[str, dict[str, Any]] = {}  # a job's name -> the figures of its last round

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.shards.values())

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(s for s in SPLITS if any(shard.split == s for shard in self.shards.values()))

    @property
    def parts(self) -> set[str]:
        return {shard.part for shard in self.shards.values()}

    def of(self, split: str) -> dict[str, Shard]:
        return {path: shard for path, shard in sorted(self.shards.items()) if shard.split == split}

    def count(self, key: Callable[[Count], Any], shards: Iterable[Shard] | None = None) -> Counter[Any]:
        """Rows by `key`; what has the key None is left out."""
        found: Counter[Any] = Counter()
        for shard in self.shards.values() if shards is None else shards:
            for count in shard.counts:
                if (k := key(count)) is not None:
                    found[k] += count.rows
        return found

    def dump(self) -> bytes:
        return (json.dumps(self.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n").encode()


def parse(found: bytes, where: str) -> Manifest:
    """Raises `DataError` for what is no manifest, or one of another layout."""
    try:
        body = json.loads(found)
        if isinstance(body, dict) and body.get("layout", LAYOUT) != LAYOUT:
            raise DataError(f"{where}: expected layout {LAYOUT}, found {body['layout']}. Fix: a newer Sparring reads it")
        return Manifest.model_validate(body)
    except ValueError as error:  # pydantic's is one
        raise DataError(f"{where}: expected the manifest of a dataset by Sparring; {_first(error)}") from None


def read(folder: Path) -> Manifest:
    """Of a local dataset folder; raises `DataError` where there is none."""
    try:
        return parse((folder / NAME).read_bytes(), str(folder / NAME))
    except OSError:
        raise DataError(
            f"{folder}: expected a dataset folder by Sparring ({CARD}, {NAME}, data/SPLIT-PART-NUMBER.parquet); "
            f"it holds no {NAME}. Fix: give a folder such as runs/NAME/round-03/dataset"
        ) from None


def head(rules: Policy) -> Mapping[str, Any]:
    """What a manifest says of its policy."""
    return {"policy": rules.name, "policy_version": rules.version, "policy_hash": rules.content_hash, "labels": rules.labels}


def _first(error: ValueError) -> str:
    return " ".join(str(error).split())[:200]
