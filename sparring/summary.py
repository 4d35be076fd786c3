"""`summary.json`: the figures of a run under names that other tools rely on; then the report."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from . import __version__, challenge, measure
from .context import Context
from .record import BENIGN, SPLITS, Record
from .report import Example, write_report
from .results import AttackResult
from .stages import Findings

SHOWN_VERSIONS = ("torch", "transformers", "datasets", "scikit-learn", "cleanlab", "faiss-cpu")


def finish(
    ctx: Context, rounds: list[dict[str, Any]], *, arms: dict[str, Any], payoff: list[list[Any]], findings: Findings,
    made: Sequence[Record], shown: Sequence[tuple[int, AttackResult]],
) -> pathlib.Path:  # fmt: skip
    """Writes `summary.json` and `report.html`; returns the run folder."""
    last = rounds[-1]
    rows = [*ctx.corpus.records, *made]
    summary = {
        "name": ctx.job.name,
        "seconds": round(ctx.run.seconds(""), 2),
        "seed": ctx.job.seed,
        "policy": {"name": ctx.policy.name, "version": ctx.policy.version, "content_hash": ctx.policy.content_hash},
        "target": " ".join([ctx.job.target.kind, *(f"{k}={v}" for k, v in ctx.job.target.settings.items())]),
        "budget": ctx.job.attack.budget,
        "rounds": rounds,
        "payoff": payoff,
        "arms": {"ours": measure.final(last, rows=last["added_rows"])} | arms if arms else {},
        "judges": challenge.judges(ctx),
        "label_issues": len(findings.label_issues),
        "near_duplicate_groups": findings.near_duplicate_groups,
        "coverage": measure.coverage([r for r in made if r.operators and r.label_name != BENIGN]),
        "dataset": {
            "path": last["dataset"],
            "rows": len(rows),
            "splits": {s: sum(r.split == s for r in rows) for s in SPLITS},
        },
        "versions": {"sparring": __version__} | {name: _version(name) for name in SHOWN_VERSIONS},
    }
    folder = ctx.run.folder
    _replace(folder / "summary.json", json.dumps(summary, ensure_ascii=False, indent=1))
    write_report(summary, examples(ctx, shown), folder / "report.html")
    return folder


def examples(ctx: Context, shown: Sequence[tuple[int, AttackResult]], most: int = 40) -> list[Example]:
    """The surest successes of each round on held-out seeds."""
    by_id = {r.id: r for r in ctx.corpus.records}
    won = [(number, r) for number, r in shown if r.valid and r.seed_id in by_id]
    won = sorted(won, key=lambda w: w[1].score or 0.0)[:most]
    return [
        Example(
            round=number, seed_text=by_id[r.seed_id].text or "", text=r.text or "",
            operators=tuple(s.name for s in r.operators),
            score_before=r.clean_score, score_after=r.score or 0.0, queries=r.queries, split=by_id[r.seed_id].split,
            judge=r.judge_score or 0.0, clause=by_id[r.seed_id].clause,
        )
        for number, r in sorted(won, key=lambda w: w[0])
    ]  # fmt: skip


def facts(entry: dict[str, Any]) -> dict[str, Any]:
    """The figures of a round that stand in the dataset's card."""
    return {
        "round": entry["round"],
        "clean F1": entry["clean"]["f1"],
        "ASR, raw": entry["asr_fresh"],
        "ASR, valid by the audit judge": entry["valid_asr_fresh"],
        "generated": entry["generated"],
        "accepted": entry["accepted"],
        "rejected": ", ".join(f"{reason} {n}" for reason, n in entry["rejected"].items()) or "none",
    }


def by_reason(reasons: Iterable[str]) -> dict[str, int]:
    return dict(Counter(reasons).most_common())


def plain(value: Any) -> dict[str, Any]:
    return dataclasses.asdict(value)


def _replace(path: pathlib.Path, text: str) -> None:
    aside = path.with_name(path.name + ".part")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
