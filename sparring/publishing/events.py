"""The side tables of a repository: what became of rows that are gone, and every label that a row has had."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ..labels import moment

TOMBSTONES = pa.schema([(name, pa.string()) for name in ("id", "what", "why", "when")])
WITHDRAWN, RESTORED, ERASED = "withdrawn", "restored", "erased"


@dataclass(frozen=True, slots=True)
class Past:
    """The last that happened to each id."""

    what: Mapping[str, str]

    def ids(self, what: str) -> set[str]:
        return {id for id, last in self.what.items() if last == what}

    def after(self, events: Iterable[Mapping[str, str]]) -> Past:
        return Past({**self.what, **{row["id"]: row["what"] for row in events}})

    def gone(self) -> dict[str, int]:
        return dict(Counter(what for what in self.what.values() if what != RESTORED))


def past(table: pa.Table | None) -> Past:
    """Of a table of `TOMBSTONES`, the earliest event first."""
    return Past({row["id"]: row["what"] for row in table.to_pylist()} if table is not None else {})


def events(ids: Iterable[str], what: str, why: str) -> list[dict[str, str]]:
    now = moment()
    return [{"id": id, "what": what, "why": why, "when": now} for id in sorted(ids)]


def relabelled(changes: Sequence[tuple[str, str, str, str]], known: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Label versions for (id, old label, new label, policy version) of rows whose label changed between two pushes.

    `known` are the versions that stand already: what a person said is not said twice, and the first label only once.
    """
    now, rows = moment(), []
    said: dict[str, set[str]] = {}
    for row in known:
        said.setdefault(row["id"], set()).add(row["label_name"])
    for id, old, new, version in changes:
        if id not in said:
            rows.append({"id": id, "label_name": old, "who": "origin", "when": "", "policy_version": ""})
        if new not in said.get(id, ()):
            rows.append({"id": id, "label_name": new, "who": "push", "when": now, "policy_version": version})
    return rows
