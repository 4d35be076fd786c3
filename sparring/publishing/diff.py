"""What changed between two versions of a dataset, in rows and labels."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import UserError
from . import events, manifest, remote
from .manifest import Manifest

_KEYS = ["id", "split", "label_name", "content_hash", "policy_version"]


@dataclass(frozen=True, slots=True)
class Relabelled:
    id: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Diff:
    """Rows by id. `gone`: id -> what its tombstone says, "" without one. `changed`: an id with other content (a fault)."""

    a: str
    b: str
    rows: tuple[int, int]
    policy: tuple[str, str]  # versions
    labels: tuple[tuple[str, ...], tuple[str, ...]]
    added: Mapping[str, str]  # id -> "split label"
    gone: Mapping[str, str]
    relabelled: Sequence[Relabelled]
    changed: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self, *, ids: bool = False) -> list[str]:
        (before, after), (old, new) = self.rows, self.policy
        lines = [f"{self.a} -> {self.b}: {before} rows -> {after}, policy {old}{'' if old == new else f' -> {new}'}"]
        if extra := [name for name in self.labels[1] if name not in self.labels[0]]:
            lines.append(f"labels new: {', '.join(extra)}")
        kinds = Counter(f"{r.before} -> {r.after}" for r in self.relabelled)
        for name, sign, counts in (
            ("rows added", "+", Counter(self.added.values())),
            ("rows gone", "-", Counter(what or "no tombstone" for what in self.gone.values())),
            ("labels changed", "~", kinds),
            ("content changed under its id", "!", Counter({"": len(self.changed)} if self.changed else {})),
        ):
            if counts:
                told = ", ".join(f"{n} {kind}".strip() for kind, n in sorted(counts.items()))
                lines.append(f"{sign} {sum(counts.values())} {name}: {told}".removesuffix(f": {sum(counts.values())}"))
        if ids:
            lines += [f"+ {id}  {what}" for id, what in self.added.items()]
            lines += [f"- {id}  {what}" for id, what in self.gone.items()]
            lines += [f"~ {r.id}  {r.before} -> {r.after}" for r in self.relabelled]
            lines += [f"! {id}" for id in self.changed]
        return lines if len(lines) > 1 else [*lines, "nothing changed"]


@dataclass(frozen=True, slots=True)
class _Side:
    name: str
    manifest: Manifest
    rows: pa.Table
    tombstones: pa.Table | None


def between(a: str, b: str, *, repo: str | None = None, endpoint: str | None = None) -> Diff:
    """Each side is a dataset folder, `ORG/NAME@REVISION`, or with `repo` one of its tags, branches or commits.

    Only ids, labels and hashes are read, also from the hub. Raises `UserError` for a side that is none of these.
    """
    before, after = (_read(side, repo, endpoint) for side in (a, b))
    joined = before.rows.join(after.rows, "id", join_type="full outer", left_suffix="_a", right_suffix="_b", use_threads=False)
    joined = joined.sort_by("id")
    new, old = pc.is_null(joined["label_name_a"]), pc.is_null(joined["label_name_b"])
    added, gone, both = joined.filter(new), joined.filter(old), joined.filter(pc.invert(pc.or_(new, old)))
    moved = both.filter(pc.not_equal(both["label_name_a"], both["label_name_b"])).to_pylist()
    past = events.past(after.tombstones).what
    return Diff(
        a, b, (len(before.rows), len(after.rows)), (before.manifest.policy_version, after.manifest.policy_version),
        (before.manifest.labels, after.manifest.labels),
        {row["id"]: f"{row['split_b']} {row['label_name_b']}" for row in added.to_pylist()},
        {id: past.get(id, "") for id in gone["id"].to_pylist()},
        tuple(Relabelled(row["id"], row["label_name_a"], row["label_name_b"]) for row in moved),
        tuple(both.filter(pc.not_equal(both["content_hash_a"], both["content_hash_b"]))["id"].to_pylist()),
    )  # fmt: skip


def _read(side: str, repo: str | None, endpoint: str | None) -> _Side:
    folder = Path(side)
    if folder.is_dir():
        found = manifest.read(folder)
        paths = [folder / path for path, one in sorted(found.sides.items()) if one.table == "tombstones"]
        gone = pa.concat_tables(map(pq.read_table, paths)) if paths else None
        return _Side(side, found, _joined([pq.read_table(folder / p, columns=_KEYS) for p in found.shards]), gone)
    repo_id, revision = (repo, side) if repo else side.rsplit("@", 1) if "@" in side else (None, side)
    if not repo_id:
        raise UserError(f"{side}: expected a dataset folder, or a revision. Fix: `--repo ORG/NAME`, or write ORG/NAME@{side}")
    token = remote.login()
    with remote.in_one_line(token), remote.client(endpoint, token) as api, tempfile.TemporaryDirectory() as aside:
        head = remote.patiently(lambda: remote.at(api, repo_id, revision))
        if head.manifest is None:
            raise UserError(f"{repo_id}@{revision}: expected a dataset by Sparring, it holds no {manifest.NAME}")
        tables = [remote.patiently(lambda p=p: head.columns(p, _KEYS)) for p in head.manifest.shards]  # type: ignore[misc]
        return _Side(side, head.manifest, _joined(tables), remote.patiently(lambda: head.table("tombstones", Path(aside))))


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    plain = [table.replace_schema_metadata() for table in tables]
    return pa.concat_tables(plain) if plain else pa.table({name: pa.array([], pa.string()) for name in _KEYS})
