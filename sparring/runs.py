"""The runs of a folder: what there is, one of them in figures, what changed between two, and which may go."""

from __future__ import annotations

import pathlib
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from . import disk, lease, log
from .errors import UserError


@dataclass(frozen=True, slots=True)
class Found:
    """`status`: running, finished, stopped (at a limit), failed, unfinished."""

    name: str
    status: str
    rounds: int
    rows: int | None
    valid_asr: float | None
    f1: float | None
    queries: int | None
    seconds: float
    detail: str  # who holds it, which limit, which error


def listed(folder: pathlib.Path) -> list[Found]:
    """Every run, by name."""
    return [look(path) for path in sorted(folder.glob("*")) if (path / "commits").is_dir()]


def look(run: pathlib.Path) -> Found:
    summary, last = _summary(run), (log.read(run) or [{}])[-1]
    rounds = summary.get("rounds") or []
    done = rounds[-1] if rounds else {}
    stopped = summary.get("stopped")
    if holder := lease.holder(run):
        status, detail = "running", holder
    elif stopped:
        status, detail = "stopped", f"{stopped['limit']} {stopped['used']} of {stopped['most']}"
    elif summary:
        status, detail = "finished", ""
    elif last.get("event") == "failed":
        status, detail = "failed", f"{last.get('error')}, exit code {last.get('code')}"
    else:
        status, detail = "unfinished", "the same command resumes it"
    return Found(
        name=run.name, status=status, rounds=len(rounds), rows=(summary.get("dataset") or {}).get("rows"),
        valid_asr=_first(done.get("valid_asr_fresh")), f1=_first((done.get("clean") or {}).get("f1")),
        queries=(summary.get("costs") or {}).get("queries"), seconds=summary.get("seconds") or _seconds(run), detail=detail,
    )  # fmt: skip


def shown(run: pathlib.Path) -> dict[str, Any]:
    """One run: its state, its costs, what was repaired."""
    if not (run / "commits").is_dir():
        raise UserError(f"expected a run folder, found none at {run}. Fix: `sparring runs list` names them")
    events = Counter(line.get("event") for line in log.read(run))
    summary = _summary(run)
    return asdict(look(run)) | {
        "starts": events["started"],
        "repairs": {event: events[event] for event in sorted(set(log.REPAIRS) & events.keys())},
        "costs": summary.get("costs") or {},
        "dataset": (summary.get("dataset") or {}).get("path"),
        "report": str(run / "report.html") if summary else None,
    }


def differences(one: pathlib.Path, other: pathlib.Path) -> dict[str, Any]:
    """`job`: settings that differ, [one's, other's]; `figures`: of the last rounds; `rows`: of the data sets, by id."""
    left, right = (dict(_flat(_json(run / "manifest.json"))) for run in (one, other))
    figures = [{k: v for k, v in asdict(look(run)).items() if k not in ("name", "detail")} for run in (one, other)]
    before, after = (_rows(_summary(run)) for run in (one, other))
    shared = before.keys() & after.keys()
    return {
        "job": {k: [left.get(k), right.get(k)] for k in sorted(left.keys() | right.keys()) if left.get(k) != right.get(k)},
        "figures": {k: [figures[0][k], figures[1][k]] for k in figures[0] if figures[0][k] != figures[1][k]},
        "rows": {
            "added": len(after.keys() - shared), "removed": len(before.keys() - shared),
            "relabelled": sum(before[i] != after[i] for i in shared), "shared": len(shared),
        },
    }  # fmt: skip


def prune(folder: pathlib.Path, *, keep: int, sure: bool) -> list[str]:
    """The names of finished runs but the newest `keep` of each series; removed where `sure`. A run that somebody works on, or
    that is not finished, stays."""
    series: dict[str, list[Found]] = {}
    for found in listed(folder):
        if found.status in ("finished", "stopped"):
            stem, _, number = found.name.rpartition("-")
            series.setdefault(stem if stem and number.isdigit() else found.name, []).append(found)
    gone = [found.name for runs in series.values() for found in runs[: max(0, len(runs) - keep)]]
    for name in gone if sure else ():
        shutil.rmtree(folder / name)
    return gone


def _summary(run: pathlib.Path) -> dict[str, Any]:
    return _json(run / "summary.json")


def _json(path: pathlib.Path) -> dict[str, Any]:
    return disk.read_json(path) or {}


def _first(figure: Any) -> float | None:
    return figure[0] if figure else None


def _seconds(run: pathlib.Path) -> float:
    return round(sum(_json(path).get("seconds", 0.0) for path in (run / "commits").glob("*.json")), 2)


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _rows(summary: Mapping[str, Any]) -> dict[str, str]:
    """id -> label of the last data set."""
    import pyarrow.parquet as pq

    place = pathlib.Path((summary.get("dataset") or {}).get("path") or "nowhere")
    tables = [pq.read_table(path, columns=["id", "label_name"]) for path in sorted(place.glob("data/*.parquet"))]
    return {i: name for t in tables for i, name in zip(*(t.column(c).to_pylist() for c in t.column_names), strict=True)}
