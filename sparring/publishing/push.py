"""A dataset folder into a repository: its parts take the place of their earlier selves, everything else stays."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import DataError, UserError
from ..labels import LABELS
from ..policy import Policy
from ..record import SCHEMA
from . import beside, descent, events, licences, manifest, remote, scan
from .events import ERASED, RESTORED, TOMBSTONES, WITHDRAWN
from .manifest import Manifest, Shard, Side
from .remote import Change, Done, Head
from .shards import groups, without
from .write import side

_KEYS = ["id", "content_hash", "label_name", "policy_version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`leave_out`: rows that the scan finds are left out, instead of ending the push. `policy`: says what the scan looks for
    beside tokens and keys. `accept`: licences whose terms for mixing do not bind the owners."""

    policy: Policy | None = None
    leave_out: bool = False
    accept: Sequence[str] = ()


def push(
    folder: Path, repo_id: str, *,
    private: bool = True, confirmed: str | None = None, revision: str | None = None, message: str | None = None,
    endpoint: str | None = None, options: Options | None = None,
) -> Done:  # fmt: skip
    """Adds the dataset at `folder` to the branch `revision` (main) in one commit, and tags the version.

    A part (a job's real rows, or one of its rounds) that the repository holds already is replaced, so that a smaller one
    leaves nothing stale; other parts stay. A row that is missing from its replaced part gets a tombstone; what was erased
    before, and what was made from it, stays out; a row that another part holds is not added twice.

    A public dataset is gated: people ask for access; `confirmed` must repeat `repo_id`. Raises `DataError` when Sparring did
    not write the folder or rows hold secrets, `UserError` as `remote.edit` does and where licences forbid the mixture,
    `SparringError` when the hub does not do its part.
    """
    if not private and confirmed != repo_id:
        raise UserError(
            f"{repo_id}: expected a confirmation to make it public, the repository's own name; got {confirmed or 'none'}. "
            "Nothing was pushed. Fix: repeat the name, `--confirm ORG/NAME`, or leave `--public` out"
        )
    options = options or Options()
    local = checked(folder)
    token = remote.login()
    rules = scan.Scan(options.policy, literals=[token])
    with tempfile.TemporaryDirectory() as aside:
        tries = iter(range(1_000_000))

        def build(head: Head) -> Change:
            place = Path(aside) / str(next(tries))
            place.mkdir()
            return Merge(head, folder, local, place, rules, options, message).change()

        return remote.edit(repo_id, build, private=private, revision=revision, endpoint=endpoint)


class Merge:
    """What a push makes of a head. Sets of ids are held for the shards that changed, never the rows."""

    def __init__(
        self, head: Head, folder: Path, local: Manifest, aside: Path, rules: scan.Scan, options: Options, message: str | None
    ):
        self.head, self.folder, self.local, self.aside = head, folder, local, aside
        self.rules, self.options, self.message = rules, options, message
        self.there = head.manifest
        known = self.there.shards if self.there else {}
        self.mine = {path: shard for path, shard in known.items() if shard.part in local.parts}
        self.others = {path: shard for path, shard in known.items() if shard.part not in local.parts}
        self.left_out = {"erased": 0, "there already": 0, "found by the scan": 0}
        self.left_ids: set[str] = set()

    def change(self) -> Change:
        labels = self._labels()
        past = events.past(self.head.table("tombstones", self.aside))
        shards, files = self._shards(past.ids(ERASED))
        changed = [path for path, shard in shards.items() if self.mine.get(path) != shard]
        stale = [path for path, shard in self.mine.items() if shards.get(path) != shard]
        compared = self._compare(shards, changed, stale, files, past.ids(WITHDRAWN))
        said = events.events(compared.withdrawn, WITHDRAWN, "not in the part that was pushed again")
        said += events.events(compared.restored, RESTORED, "in the part that was pushed again")
        known = self._known_labels()
        versions = self._own_labels(known)
        versions += events.relabelled(compared.relabelled, [*known, *versions])
        sides = dict(self.there.sides) if self.there else {}
        tables = {"tombstones": pa.Table.from_pylist(said, TOMBSTONES), "labels": pa.Table.from_pylist(versions, LABELS)}
        for name, table in (tables | {name: self._beside(name) for name in beside.TABLES}).items():
            if len(table):
                path = f"{name}/{self.head.next_version:05d}.parquet"
                sides[path], files[path] = side(self.aside / path, table, name), self.aside / path
        now = past.after(said)
        people = {row["id"] for row in [*known, *versions] if row["who"].startswith("person-")}
        found = self.local.model_copy(
            update={
                "name": self.there.name if self.there else self.local.name,
                "labels": labels,
                "shards": dict(sorted({**self.others, **shards}.items())),
                "sides": dict(sorted(sides.items())),
                "checked": len(people - {id for id, what in now.what.items() if what != RESTORED}),
                "gone": now.gone(),
                "facts": dict(sorted({**(self.there.facts if self.there else {}), **self.local.facts}.items())),
                "accepted": tuple(sorted({*(self.there.accepted if self.there else ()), *self.options.accept})),
            }
        )
        if not found.shards:
            raise DataError(f"{self.folder}: every row of it is left out, nothing was pushed")
        licences.check(found)
        counts = {
            "rows": found.rows, "added": compared.added, "withdrawn": len(compared.withdrawn),
            "relabelled": len(compared.relabelled),
        }  # fmt: skip
        counts |= {f"left out, {why}": n for why, n in self.left_out.items() if n}
        return Change(found, files, self.message or f"{compared.added} rows by Sparring", counts)

    def _labels(self) -> tuple[str, ...]:
        """The longer of the two lists of labels; one must continue the other."""
        ours = self.local.labels
        if not self.there:
            return ours
        theirs = self.there.labels
        if self.local.policy != self.there.policy or ours[: len(theirs)] != theirs[: len(ours)]:
            raise UserError(
                f"{self.head.repo_id}: expected rows under its policy {self.there.policy} with the labels {', '.join(theirs)} "
                f"(more may follow); got {self.local.policy} with {', '.join(ours)}. Fix: another repository"
            )
        return max(ours, theirs, key=len)

    def _shards(self, erased: set[str]) -> tuple[dict[str, Shard], dict[str, Path]]:
        """The shards as they are to stand, and the files of those that the repository lacks."""
        shards = dict(self.local.shards)
        files = {path: self.folder / path for path in shards}
        todo = [path for path, shard in shards.items() if self.mine.get(path) != shard]
        if not todo:
            return shards, {}
        gone = pa.array([], pa.string())
        if erased:
            own = [pq.read_table(file, columns=descent.COLUMNS) for file in files.values()]
            gone = pa.array(sorted(descent.closure(own, erased)), pa.string())
        held = self._held(files)
        findings: list[scan.Finding] = []
        for path in todo:

            def drop(table: pa.Table) -> Any:
                found = list(self.rules.rows(table))
                masks: dict[str, Any] = {}
                if erased:
                    masks["erased"] = descent.touched(table, gone)
                if len(held):
                    masks["there already"] = pc.is_in(table["id"], value_set=held)
                if found and self.options.leave_out:
                    masks["found by the scan"] = scan.mask(table, {f.id for f in found})
                out = None
                for why, mask in masks.items():
                    self.left_out[why] += pc.sum(mask).as_py() or 0
                    out = mask if out is None else pc.or_(out, mask)
                left = set() if out is None else set(table["id"].filter(out).to_pylist())
                self.left_ids |= left
                findings.extend(f for f in found if f.id not in left)
                return out

            (self.aside / path).parent.mkdir(parents=True, exist_ok=True)
            columns = [
                *(descent.COLUMNS if erased else ["id"]),
                *scan.COLUMNS,
                *(["image"] if shards[path].described != 0 else []),
            ]
            left = without(files[path], self.aside / path, drop, shards[path], columns)
            if left is None:
                del shards[path], files[path]
            elif left is not shards[path]:
                shards[path], files[path] = left, self.aside / path
        if findings:
            raise DataError(
                f"{self.folder}: rows hold what must not be published: {scan.told(findings)}. Nothing was pushed. "
                "Fix: take them out of the source and run again, or leave them out of the push (`--leave-out`)"
            )
        return shards, files

    def _held(self, files: Mapping[str, Path]) -> pa.Array:
        """Those of our ids that another part holds."""
        if not self.others:
            return pa.array([], pa.string())
        mine = _hashes(table for file in files.values() for table in groups(file, ["id"]))
        found: list[str] = []
        for path in self.others:
            ids = self.head.columns(path, ["id"])["id"]
            found += ids.filter(pa.array(np.isin(hashed(ids), mine))).to_pylist()
        return pa.array(found, pa.string())

    def _compare(
        self, shards: Mapping[str, Shard], changed: Sequence[str], stale: Sequence[str], files: Mapping[str, Path],
        withdrawn: set[str],
    ) -> _Compared:  # fmt: skip
        """What the shards that change held, against what they are to hold; `withdrawn` are ids that were withdrawn earlier."""
        before = {
            row["id"]: (row["content_hash"], row["label_name"])
            for path in stale
            for row in self.head.columns(path, _KEYS).to_pylist()
        }
        if not before and not withdrawn:
            return _Compared(sum(shards[path].rows for path in changed), set(), set(), [])
        missing, wanted, back, added = set(before), pa.array(sorted(withdrawn), pa.string()), set[str](), 0
        moved: list[tuple[str, str, str, str]] = []
        other: list[str] = []
        for table in (table for path in changed for table in groups(files[path], _KEYS)):
            if withdrawn:
                back |= set(table["id"].filter(pc.is_in(table["id"], value_set=wanted)).to_pylist())
            if not before:
                added += len(table)
                continue
            for id, content, label, version in zip(*(table[name].to_pylist() for name in _KEYS), strict=True):
                missing.discard(id)
                known, label_before = before.get(id, (None, None))
                added += known is None
                if known is not None and known != content:
                    other.append(id)
                if label_before is not None and label_before != label:
                    moved.append((id, label_before, label, version))
        if other:
            raise DataError(
                f"{self.folder}: expected each id to keep its content for ever; {len(other)} have another "
                f"({', '.join(sorted(other)[:3])}). Nothing was pushed. Fix: give a changed row a key of its own"
            )
        return _Compared(added, back, missing, sorted(moved))

    def _known_labels(self) -> list[dict[str, str]]:
        table = self.head.table("labels", self.aside)
        return table.to_pylist() if table is not None else []

    def _own_labels(self, known: Sequence[dict[str, str]]) -> list[dict[str, str]]:
        """Versions out of the folder's table that the repository lacks."""
        paths = [path for path, one in self.local.sides.items() if one.table == "labels"]
        own = [row for path in paths for row in pq.read_table(self.folder / path).to_pylist()]
        have = {tuple(row.values()) for row in known}
        first = {row["id"] for row in known if row["who"] == "origin"}
        return [row for row in own if tuple(row.values()) not in have and not (row["who"] == "origin" and row["id"] in first)]

    def _beside(self, name: str) -> pa.Table:
        """Rows of the folder's table that the repository lacks, of rows that are pushed."""
        paths = [path for path, one in self.local.sides.items() if one.table == name]
        own = [pq.read_table(self.folder / path, schema=beside.TABLES[name]) for path in sorted(paths)]
        table = pa.concat_tables(own) if own else beside.TABLES[name].empty_table()
        if self.left_ids:
            table = table.filter(pc.invert(pc.is_in(table["id"], value_set=pa.array(sorted(self.left_ids), pa.string()))))
        keys = beside.KEYS[name]
        known = {tuple(row.values()) for path in self.head.paths(name) for row in self.head.columns(path, keys).to_pylist()}
        if known:
            table = table.filter(pa.array([tuple(row.values()) not in known for row in table.select(keys).to_pylist()]))
        return table


@dataclass(frozen=True, slots=True)
class _Compared:
    added: int
    restored: set[str]
    withdrawn: set[str]
    relabelled: Sequence[tuple[str, str, str, str]]  # id, old label, new label, policy version


def hashed(ids: pa.ChunkedArray) -> np.ndarray:
    """(n,) uint64: 8 bytes an id, where many are held at once; what matters is decided by the ids themselves."""
    import pandas as pd

    return pd.util.hash_array(ids.to_numpy(), categorize=False)


def _hashes(tables: Iterable[pa.Table]) -> np.ndarray:
    """Sorted; in a buffer that grows by itself, for pieces that are joined at the end are held twice."""
    found = array("Q")
    for table in tables:
        found.frombytes(hashed(table["id"]).tobytes())
    out = np.frombuffer(found, np.uint64)
    out.sort()
    return out


def _twice(folder: Path, paths: Sequence[str]) -> int:
    """How many ids of a dataset stand twice."""
    every = _hashes(table for path in paths for table in groups(folder / path, ["id"]))
    suspects = np.unique(every[1:][every[1:] == every[:-1]])
    if not len(suspects):
        return 0
    tables = (table["id"] for path in paths for table in groups(folder / path, ["id"]))
    ids = [id for column in tables for id in column.filter(pa.array(np.isin(hashed(column), suspects))).to_pylist()]
    return len(ids) - len(set(ids))


def checked(folder: Path) -> Manifest:
    """The manifest of a folder that `write.stream` wrote, once its files were found to be what the manifest says."""

    def bad(came: str) -> DataError:
        return DataError(
            f"{folder}: expected a dataset folder by Sparring ({manifest.CARD}, {manifest.NAME}, data/*.parquet); "
            f"{came}. Fix: give a folder such as runs/NAME/round-03/dataset, or have the run write it again"
        )

    found = manifest.read(folder)
    if not (folder / manifest.CARD).is_file():
        raise bad(f"it holds no {manifest.CARD}")
    if not found.shards:
        raise bad("it holds no shard")
    files: dict[str, Shard | Side] = {**found.shards, **found.sides}
    here = {str(p.relative_to(folder)) for p in folder.rglob("*.parquet")}
    if odd := sorted(here ^ files.keys()):
        raise bad(f"{odd[0]} is {'not in its manifest' if odd[0] in here else 'missing'}")
    for path, known in files.items():
        if (folder / path).stat().st_size != known.bytes:  # its hash is compared before the commit, when the client has it
            raise bad(f"{path} is not the file that its manifest tells of")
    for path in found.shards:
        if not manifest.SHARD.fullmatch(path) or not pq.read_schema(folder / path).equals(SCHEMA):
            raise bad(f"{path} does not hold Sparring's records")
    if twice := _twice(folder, list(found.shards)):
        raise bad(f"{twice} of its ids stand twice")
    return found
