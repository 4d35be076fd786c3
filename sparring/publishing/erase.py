"""Rows and everything made from them, out of a dataset for good."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .. import disk
from ..errors import UserError
from . import descent, events, manifest, remote
from .events import ERASED, TOMBSTONES
from .manifest import Manifest
from .remote import Change, Head
from .shards import without
from .write import finish, side


@dataclass(frozen=True, slots=True)
class Erased:
    """`ids`: what was asked for; `rows`: what went in this call, children among them; `unknown`: asked for, not found.

    `remains`: other tags and branches that hold some of it -> how many rows of it."""

    where: str
    version: int
    ids: tuple[str, ...]
    rows: tuple[str, ...]
    unknown: tuple[str, ...]
    remains: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def lines(self) -> list[str]:
        children = len(self.rows) - len({*self.rows} & {*self.ids})
        lines = [f"{self.where}: {len(self.rows)} rows erased, {children} of them made from what was asked for"]
        lines += [f"not in it (any more); no push brings them back: {', '.join(self.unknown)}"] if self.unknown else []
        if self.remains:
            held = ", ".join(f"{name} ({n})" for name, n in self.remains.items())
            lines.append(f"earlier versions still hold rows of it: {held}")
            lines.append("to end that too: delete these tags and branches, squash the history, and delete the files that no")
            lines.append("version names any more (on the hub: Settings, List of large files)")
        lines.append("run folders and copies that people downloaded are not reached")
        return lines


def erase(
    ids: Sequence[str], *,
    repo_id: str | None = None, folder: Path | None = None, why: str = "asked for", revision: str | None = None,
    endpoint: str | None = None,
) -> Erased:  # fmt: skip
    """Erases from a repository (one commit, a new version) or from a local dataset folder.

    Each id gets a tombstone, and so does every row that descends from it; later pushes leave them out. Shards without such a
    row are not touched. Raises `UserError` for neither or both places, and as `remote.edit` does.
    """
    if (repo_id is None) == (folder is None):
        raise UserError("expected one place to erase from. Fix: `--repo ORG/NAME`, or `--folder FOLDER`")
    asked = tuple(sorted({*ids}))
    if folder is not None:
        return _locally(folder, asked, why)
    assert repo_id is not None
    rows: set[str] = set()
    with tempfile.TemporaryDirectory() as aside:

        def build(head: Head) -> Change:
            if head.manifest is None:
                raise UserError(f"{repo_id}: expected a dataset by Sparring, it holds no {manifest.NAME}. Fix: check the name")
            place = Path(tempfile.mkdtemp(dir=aside))
            tables = {path: head.columns(path, descent.COLUMNS) for path in head.manifest.shards}
            past = events.past(head.table("tombstones", place)).what
            change, gone = _change(
                head.manifest, tables, asked, why, past, lambda path: head.fetch(path, place), place, head.next_version
            )
            rows.update(gone)
            return change

        done = remote.edit(repo_id, build, create=False, private=None, revision=revision, endpoint=endpoint)
    remains = _remains(repo_id, done.others, {*asked, *rows}, endpoint)
    unknown = tuple(id for id in asked if id not in rows)
    return Erased(repo_id, done.version, asked, tuple(sorted(rows)), unknown, remains)


def _change(
    known: Manifest, tables: Mapping[str, pa.Table], asked: Sequence[str], why: str, past: Mapping[str, str],
    fetch: Callable[[str], Path], aside: Path, version: int,
) -> tuple[Change, set[str]]:  # fmt: skip
    """The dataset without the rows, and the ids of the rows that went."""
    barred = descent.closure(list(tables.values()), asked)
    wanted = pa.array(sorted(barred), pa.string())
    shards, files = dict(known.shards), {}
    gone: set[str] = set()
    for path, table in tables.items():
        mask = descent.touched(table, wanted)
        if not pc.any(mask).as_py():
            continue
        gone |= set(table["id"].filter(mask).to_pylist())
        (aside / path).parent.mkdir(parents=True, exist_ok=True)
        left = without(fetch(path), aside / path, lambda rows: descent.touched(rows, wanted), shards[path], descent.COLUMNS)
        if left is None:
            del shards[path]
        else:
            shards[path], files[path] = left, aside / path
    checked: set[str] = set()
    sides, said = dict(known.sides), events.events((id for id in barred if past.get(id) != ERASED), ERASED, why)
    for path, table_name in [(path, one.table) for path, one in known.sides.items() if one.table != "tombstones"]:
        table = pq.read_table(fetch(path))
        kept = table.filter(pc.invert(pc.is_in(table["id"], value_set=wanted)))
        if table_name == "labels":
            checked |= {row["id"] for row in kept.to_pylist() if row["who"].startswith("person-")}
        if len(kept) < len(table):
            del sides[path]
            if len(kept):
                sides[path], files[path] = side(aside / path, kept, table_name), aside / path
    if said:
        path = f"tombstones/{version:05d}.parquet"
        told = pa.Table.from_pylist(said, schema=TOMBSTONES)
        sides[path], files[path] = side(aside / path, told, "tombstones"), aside / path
    gone_now = events.Past(dict(past)).after(said).gone()
    update = {
        "shards": shards,
        "sides": dict(sorted(sides.items())),
        "gone": gone_now,
        "checked": min(known.checked, len(checked)),
    }
    return Change(known.model_copy(update=update), files, f"{len(gone)} rows erased", {"erased": len(gone)}), gone


def _locally(folder: Path, asked: Sequence[str], why: str) -> Erased:
    """Into a new folder that takes the old one's place."""
    aside, old = (folder.with_name(f".{folder.name}.{what}") for what in ("erasing", "erased"))
    if old.exists() and not folder.exists():  # killed between the two renames
        os.replace(old, folder)
    for left in (aside, old):
        shutil.rmtree(left, ignore_errors=True)
    known = manifest.read(folder)
    tables = {path: pq.read_table(folder / path, columns=descent.COLUMNS) for path in known.shards}
    paths = sorted(path for path, one in known.sides.items() if one.table == "tombstones")
    past = events.past(pa.concat_tables(pq.read_table(folder / p) for p in paths) if paths else None).what
    change, gone = _change(known, tables, asked, why, past, lambda path: folder / path, aside, len(paths) + 1)
    found = change.manifest
    for path in [*found.shards, *found.sides]:
        if path not in change.files:
            (aside / path).parent.mkdir(parents=True, exist_ok=True)
            os.link(folder / path, aside / path)
    finish(aside, found)
    disk.sync(aside)
    os.replace(folder, old)
    os.replace(aside, folder)
    disk.sync_folder(folder.parent)
    shutil.rmtree(old)
    everything = {*gone, *past}
    return Erased(
        str(folder), known.version, tuple(asked), tuple(sorted(gone)), tuple(i for i in asked if i not in everything), {}
    )


def _remains(repo_id: str, others: Mapping[str, str], ids: set[str], endpoint: str | None) -> dict[str, int]:
    """Other names in the repository -> how many of these rows stand there. A shard is looked at once."""
    token, wanted = remote.login(), pa.array(sorted(ids), pa.string())
    seen: dict[str, int] = {}
    found: dict[str, int] = {}
    with remote.in_one_line(token), remote.client(endpoint, token) as api:
        for name, commit in sorted(others.items()):
            head = remote.patiently(lambda commit=commit: remote.at(api, repo_id, commit))  # type: ignore[misc]
            total = 0
            for path, shard in (head.manifest.shards if head.manifest else {}).items():
                if shard.sha256 not in seen:
                    table = remote.patiently(lambda h=head, p=path: h.columns(p, descent.COLUMNS))  # type: ignore[misc]
                    seen[shard.sha256] = pc.sum(descent.touched(table, wanted)).as_py() or 0
                total += seen[shard.sha256]
            if total:
                found[name] = total
    return found
