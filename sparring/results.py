"""What came of attacking one seed, as it is kept on disk and read by the stages that follow, and where a success stands."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from .record import Record, Step


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """A hit that the filter judge refused, and why."""

    content: str | bytes
    operators: tuple[Step, ...]
    score: float
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Success:
    """What got past and was held valid; its fields as those of `AttackResult`."""

    content: str | bytes
    operators: tuple[Step, ...]
    score: float | None
    flat_score: float | None
    judge_score: float | None
    parameters: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class AttackResult:
    """`status`: missed (the target never caught the seed), failed (it gave no score for it, or for any candidate), survived,
    success (evaded and held valid by the filter).

    `evaded` is the raw success, valid or not; `stood` one that a normaliser does not undo, judged or not; `audit` the audit
    judge's verdict on a success, None without one, and `silent` that it abstained; `prompts` counts what a language model was
    asked. Of a success `score` is the target's for the sample as its file or text is, `flat_score` for what a normaliser, or a
    platform's processing of uploads, makes of it. `queries` are those of the whole search, which `further` successes lengthen.
    """

    seed_id: str
    status: str
    queries: int
    evaded: bool
    clean_score: float
    content: str | bytes | None
    operators: tuple[Step, ...]
    score: float | None
    judge_score: float | None
    audit: bool | None
    refused: tuple[Refused, ...]
    prompts: int = 0
    parameters: str = ""  # of the success, as JSON: what makes it again where its operators do not say it all
    stood: bool = False
    silent: bool = False
    flat_score: float | None = None
    further: tuple[Success, ...] = ()  # behind the first success, where several are wanted

    @property
    def successes(self) -> tuple[Success, ...]:
        """All of them, the first one first."""
        if self.status != "success" or self.content is None:
            return ()
        first = Success(
            self.content, self.operators, self.score, self.flat_score, self.judge_score, self.parameters
        )  # fmt: skip
        return first, *self.further

    @property
    def attacked(self) -> bool:
        return self.status in ("survived", "success")

    @property
    def valid(self) -> bool:
        return self.status == "success" and bool(self.audit)


@dataclasses.dataclass(frozen=True, slots=True)
class Twins:
    """Benign look-alikes of successes, each in a pair with one by `pair_id`: what the target said of each by id (-1 where it
    failed), and those that it wrongly `blocked`. `tried` counts those that were scored, `without` successes that have none
    because no operator made them, but a language model or a gradient."""

    records: tuple[Record, ...] = ()
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    blocked: frozenset[str] = frozenset()
    tried: int = 0
    without: int = 0

    def told(self) -> dict[str, int]:
        """For the summary."""
        return {"tried": self.tried, "kept": len(self.records), "blocked": len(self.blocked), "without": self.without}


@dataclasses.dataclass(frozen=True, slots=True)
class Niche:
    """Where a success stands in the red team's archive: its cell, and whether an earlier round had filled that."""

    cell: str
    covered: bool


_HITS: Mapping[str, Any] = {"refused": Refused, "further": Success}
_STEPS = pa.list_(pa.struct([("name", pa.string()), ("strength", pa.float64()), ("seed", pa.int64())]))
SCHEMA = pa.schema(
    [
        ("seed_id", pa.string()), ("status", pa.string()), ("queries", pa.int64()), ("evaded", pa.bool_()),
        ("clean_score", pa.float64()), ("text", pa.string()), ("image", pa.binary()), ("operators", _STEPS),
        ("score", pa.float64()),
        ("judge_score", pa.float64()), ("audit", pa.bool_()),
        ("refused", pa.list_(pa.struct([("text", pa.string()), ("image", pa.binary()), ("operators", _STEPS),
                                        ("score", pa.float64()), ("reason", pa.string())]))),
        ("prompts", pa.int64()), ("parameters", pa.string()), ("stood", pa.bool_()), ("silent", pa.bool_()),
        ("flat_score", pa.float64()),
        ("further", pa.list_(pa.struct([("text", pa.string()), ("image", pa.binary()), ("operators", _STEPS),
                                        ("score", pa.float64()), ("flat_score", pa.float64()), ("judge_score", pa.float64()),
                                        ("parameters", pa.string())]))),
    ]
)  # fmt: skip


def to_table(results: Iterable[AttackResult]) -> pa.Table:
    rows = []
    for result in results:
        row = dataclasses.asdict(result)
        rows.append(_put(row | {name: [_put(hit) for hit in row[name]] for name in _HITS}))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def from_table(table: pa.Table) -> list[AttackResult]:
    out = []
    for row in table.to_pylist():
        row["operators"] = _steps(row["operators"])
        for name, kind in _HITS.items():
            row[name] = tuple(kind(**(_taken(r) | {"operators": _steps(r["operators"])})) for r in row[name])
        out.append(AttackResult(**_taken(row)))
    return out


def _put(row: dict[str, Any]) -> dict[str, Any]:
    """A content stands in the column of its kind."""
    content = row.pop("content")
    return row | {
        "text": content if isinstance(content, str) else None,
        "image": content if isinstance(content, bytes) else None,
    }


def _taken(row: dict[str, Any]) -> dict[str, Any]:
    text, image = row.pop("text"), row.pop("image")
    return row | {"content": image if text is None else text}


def _steps(rows: Sequence[dict[str, Any]]) -> tuple[Step, ...]:
    return tuple(Step(**row) for row in rows)
