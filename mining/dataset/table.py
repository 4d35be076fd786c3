"""The result's table: one row for each of the user's, in the order of the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..labels import issues, verdicts
from .result import SCHEMA

if TYPE_CHECKING:
    from ..slices import Slice
    from .mine import Found

SHOWN = 5  # neighbours of a row that somebody will look at


def made(found: Found, slices: Sequence[Slice], *, budget: int | Mapping[int, int] | None) -> pa.Table:
    """`found` by column. Neighbours and reasons are there for rows with a verdict other than `ok` and for selected ones."""
    rows, n = found.rows, len(found.rows)
    name = np.array([*rows.names, None], object)  # -1 is no label
    verdict = np.array(found.verdicts.names, object)
    # A verified copy of a kept row is no new kind of row, however strange its disguise, and teaches nothing more.
    verdict[found.removal.removed & np.isin(verdict, ["ok", "novel", "hard"])] = "duplicate"
    # By the estimate of the noise, or by views and neighbours: on few rows the first is too careful.
    flagged = (found.issues.flagged if found.issues else np.zeros(n, bool)) | (verdict == "mislabelled")
    removed = found.removal.removed & (verdict == "duplicate")
    suggested = np.where(verdict == "mislabelled", found.verdicts.suggested, -1)
    queue, rank = np.full(n, None, object), np.full(n, None, object)
    if found.issues:
        suggested = np.where(found.issues.flagged, found.issues.suggested, suggested)
        for label, members in issues.queues(replace(found.issues, flagged=flagged), rows.labels, budget).items():
            queue[members], rank[members] = rows.names[label], np.arange(1, len(members) + 1)
    chosen, audit = np.full(n, None, object), np.zeros(n, bool)
    chosen[found.selection.rows] = np.arange(1, len(found.selection.rows) + 1)
    audit[found.selection.rows] = found.selection.audit
    negative = np.full(n, None, object)
    negative[found.negatives] = np.arange(1, len(found.negatives) + 1)
    again, people = np.full(n, None, object), found.crowd.found if found.crowd else None
    if found.crowd:
        again[found.crowd.again] = np.arange(1, len(found.crowd.again) + 1)
    nothing = np.full(n, None, object)
    shown = np.flatnonzero((verdict != "ok") | flagged | (chosen != None) | (negative != None))  # noqa: E711
    place = _map(found.vectors)
    columns: dict[str, Any] = {
        "id": rows.ids, "row": rows.number, "label": name[rows.labels], "verdict": verdict,
        "action": [verdicts.ACTIONS[v] for v in verdict], "suggested_label": name[suggested],
        "label_score": found.issues.score if found.issues else np.full(n, None, object), "label_flagged": flagged,
        "queue": queue, "queue_rank": rank, "hardness": _null(found.hardness), "hard_negative_rank": negative,
        "reasons": [
            [] if gone else [f"{what} {how:.2f}" for what, how in why]
            for why, gone in zip(found.verdicts.reasons, removed, strict=True)
        ],
        "neighbours": _neighbours(found, set(shown.tolist()), name), "group": found.near.group,
        "stands_for": [rows.ids[j] if gone else None for j, gone in zip(found.removal.stands_for, removed, strict=True)],
        "why_removed": [why if gone else None for why, gone in zip(found.removal.why_removed, removed, strict=True)],
        "why_spared": [_spared(found, i, bool(removed[i]), str(verdict[i])) for i in range(n)],
        "undone": found.near.undone if found.near.undone is not None else [None] * n,
        "slices": _slices(slices, n), "selected_rank": chosen, "audit": audit,
        "annotations": people.count if people else nothing, "agreement": _null(people.agreement) if people else nothing,
        "consensus": name[people.consensus] if people else nothing,
        "consensus_quality": _null(people.quality) if people else nothing, "ask_again_rank": again,
        "x": place[:, 0], "y": place[:, 1],
    }  # fmt: skip
    arrays = [pa.array(list(columns[field.name]), field.type, from_pandas=True) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA).take(np.argsort(rows.number))


def _spared(found: Found, row: int, removed: bool, verdict: str) -> str | None:
    """Why a near duplicate stays; one that could have gone but has a verdict of its own is kept for that."""
    if removed:
        return None
    if found.removal.removed[row]:
        return f"its verdict is {verdict}"
    return found.removal.why_spared[row] or None


def _neighbours(found: Found, shown: set[int], name: np.ndarray) -> list[list[dict[str, Any]]]:
    out: list[list[dict[str, Any]]] = []
    for i, near in enumerate(found.verdicts.neighbours[:, :SHOWN].tolist()):
        kept = [j for j in near if j >= 0] if i in shown else []
        cosines = found.vectors[kept] @ found.vectors[i] if kept else ()
        out.append(
            [
                {"id": found.rows.ids[j], "cosine": float(c), "label": name[found.rows.labels[j]]}
                for j, c in zip(kept, cosines, strict=True)
            ]
        )
    return out


def _slices(slices: Sequence[Slice], n: int) -> list[list[int]]:
    out: list[list[int]] = [[] for _ in range(n)]
    for number, found in enumerate(slices):
        for row in found.rows.tolist():
            out[row].append(number)
    return out


def _null(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in values]


def _map(vectors: np.ndarray) -> np.ndarray:
    """(n, 2) float32: the two principal components, each turned so that its largest value is positive."""
    if len(vectors) < 3 or vectors.shape[1] < 2:
        return np.zeros((len(vectors), 2), np.float32)
    centred = vectors - vectors.mean(0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    place = centred @ axes[:, [-1, -2]]
    sign = np.sign(place[np.abs(place).argmax(0), [0, 1]])
    return (place * np.where(sign == 0, 1, sign)).astype(np.float32)
