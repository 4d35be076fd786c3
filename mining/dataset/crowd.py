"""Several annotators a row: how they stand in the user's columns, whom to believe, which rows to ask about once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparring.errors import DataError

from ..labels.annotators import Annotations, consensus
from ..labels.views import Views

if TYPE_CHECKING:
    from .read import Rows

WHO, LABEL = ("who", "annotator"), ("label", "label_name")  # of an entry in a list; the second as `sparring.labels` calls it


@dataclass(frozen=True, slots=True)
class Crowd:
    """What annotators agree on, and `again` (m,) rows to ask about once more, the most worthwhile first."""

    found: Annotations
    again: np.ndarray
    facts: dict[str, Any]


def voices(columns: Mapping[str, Sequence[Any]], names: Sequence[str], features: Mapping[str, Any]) -> dict[str, list[Any]]:
    """annotator -> the label given to each row as it stands there, None for none.

    Several columns are an annotator each; one column of lists holds an annotator in each place, or entries that name theirs
    (`who` and `label`). Raises `DataError` for lists in several columns, for entries of another form, and where an annotator
    stands twice in a row.
    """
    listed = [name for name in names if any(isinstance(value, (list, dict)) for value in columns[name])]
    if not listed:
        return {name: list(columns[name]) for name in names}
    if len(names) > 1:
        raise DataError(
            f"expected a column for each annotator, or one of lists; got lists in {listed[0]!r} and {len(names)} columns. "
            "Fix: --annotators once, with the column of lists"
        )
    column, meaning = columns[listed[0]], _class_label(features[listed[0]])
    out: dict[str, list[Any]] = {}
    for row, entries in enumerate(column):
        for place, entry in enumerate(entries if isinstance(entries, list) else _wrong(listed[0], row, entries)):
            who, label = _entry(listed[0], row, place, entry)
            said = out.setdefault(who, [None] * len(column))
            if said[row] is not None:
                raise DataError(f"{listed[0]}: expected a label of each annotator; {who!r} stands twice in row {row}")
            said[row] = meaning.int2str(label) if meaning is not None and isinstance(label, int) and label >= 0 else label
    named = any(isinstance(entry, dict) for entries in column for entry in entries or ())
    return {who: out[who] for who in sorted(out, key=(lambda who: (0, who)) if named else (lambda who: (int(who), who)))}


def _entry(column: str, row: int, place: int, entry: Any) -> tuple[str, Any]:
    if not isinstance(entry, dict):
        return str(place + 1), entry
    who = next((entry[key] for key in WHO if entry.get(key) is not None), None)
    key = next((key for key in LABEL if key in entry), None)
    return (str(who), entry[key]) if who is not None and key is not None else _wrong(column, row, entry)


def _wrong(column: str, row: int, value: Any) -> Any:
    if value is None:
        return []
    raise DataError(
        f"{column}: expected a list of labels, or of entries with `who` and `label`, in each row; "
        f"got {str(value)[:60]} in row {row}. Fix: null, or an empty list, where nobody labelled"
    )


def _class_label(feature: Any) -> Any:
    """The `ClassLabel` within a feature of lists; None where labels stand as they are."""
    from datasets import ClassLabel

    inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) else feature)
    inner = next((inner[key] for key in LABEL if key in inner), None) if isinstance(inner, dict) else inner
    return inner if isinstance(inner, ClassLabel) else None


def matrix(said: Mapping[str, Sequence[str | None]], number: Mapping[str, int]) -> np.ndarray:
    """(n, a) int, -1 for no label, -2 for one that is none of `number`'s."""
    return np.array([[-1 if v is None else number.get(v, -2) for v in values] for values in said.values()], np.int64).T


def vote(labels: np.ndarray) -> np.ndarray:
    """(n,) int of (n, a): what most say, an annotator's weight being the agreement with the others; -1 where nobody does."""
    return consensus(np.maximum(labels, -1)).consensus


def heard(rows: Rows, views: Views | None, *, most: int) -> Crowd | None:
    """None without annotators. `views` out of fold weigh in as one annotator more (CROWDLAB)."""
    if rows.annotations is None or not len(rows):
        return None
    p = None
    if views is not None:
        p = views.mean.astype(np.float64)
        p[np.isnan(p).any(1)] = 1 / p.shape[1]  # where no view speaks, the annotators do
        p /= p.sum(1, keepdims=True)
    found = consensus(rows.annotations, p)
    order = np.argsort(-np.nan_to_num(found.once_more, nan=-1), kind="stable")
    again = order[found.count[order] > 0][:most]
    there = (rows.labels >= 0) & (found.consensus >= 0)
    labelled = (rows.annotations >= 0).sum(0)
    facts = {
        "annotators, quality of each": {
            who: f"{quality:.3f} over {count:,} rows" if count else "no rows"
            for who, quality, count in zip(rows.annotators, found.annotator_quality, labelled, strict=True)
        },
        "annotators, consensus by": found.method,
        "annotators, rows whose label is not the consensus": int((rows.labels != found.consensus)[there].sum()),
    }
    if np.isfinite(found.alpha):
        facts["annotators, Krippendorff's alpha"] = round(found.alpha, 4)
    return Crowd(found, again, facts)
