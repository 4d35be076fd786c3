"""`summary.json`: the figures of a run under names that other tools rely on; then the report."""

from __future__ import annotations

import json
import pathlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from . import __version__, challenge, costs, disk, measure, refs, review
from .context import Context
from .record import SPLITS
from .report import Example, write_report
from .results import AttackResult
from .stages import Findings

if TYPE_CHECKING:
    from .loop import State

SHOWN_VERSIONS = ("torch", "transformers", "datasets", "scikit-learn", "cleanlab", "faiss-cpu")


def finish(ctx: Context, state: State, *, arms: dict[str, Any], payoff: list[list[Any]], findings: Findings) -> pathlib.Path:
    """Writes `summary.json` and `report.html`; returns the run folder."""
    rounds, made = state.entries, state.made
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
        "held_out": ctx.job.attack.held_out,
        "payoff": payoff,
        "forgetting": measure.forgetting(payoff),
        "arms": {"ours": measure.final(last, rows=len(state.lessons[0]))} | arms if arms else {},
        "judges": challenge.judges(ctx) | review.human(ctx.run.folder),
        "stopped": ctx.meter.stopped,
        "costs": costs.costs(ctx.meter, state.fought),
        "label_issues": len(findings.label_issues),
        "near_duplicate_groups": findings.near_duplicate_groups,
        "archive": state.archive.summary() if state.archive else None,
        "dataset": {
            "path": last["dataset"],
            "rows": len(rows),
            "splits": {s: sum(r.split == s for r in rows) for s in SPLITS},
        },
        "versions": {"sparring": __version__} | {name: refs.installed(name) for name in SHOWN_VERSIONS},
    }
    folder = ctx.run.folder
    disk.put_file(folder / "summary.json", json.dumps(summary, ensure_ascii=False, indent=1).encode())
    write_report(summary, examples(ctx, state.tested), folder / "report.html")
    return folder


def examples(ctx: Context, tested: Sequence[Sequence[AttackResult]], most: int = 40) -> list[Example]:
    """The surest successes on held-out seeds, round by round."""
    by_id = {r.id: r for r in ctx.corpus.records}
    won = [(number, r) for number, results in enumerate(tested) for r in results if r.valid]
    won = sorted(won, key=lambda w: w[1].score or 0.0)[:most]
    return [
        Example(
            round=number, seed=by_id[r.seed_id].content, content=r.content or "",
            operators=tuple(s.name for s in r.operators),
            score_before=r.clean_score, score_after=r.score or 0.0, score_flat=r.flat_score, queries=r.queries,
            split=by_id[r.seed_id].split,
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
        "ASR, after a normaliser": entry["asr_normalised_fresh"],
        "ASR, valid by the audit judge": entry["valid_asr_fresh"],
        "generated": entry["generated"],
        "accepted": entry["accepted"],
        "rejected": ", ".join(f"{reason} {n}" for reason, n in entry["rejected"].items()) or "none",
        **_blocked(entry.get("benign_twins")),
    }


def _blocked(twins: dict[str, int] | None) -> dict[str, str]:
    return {"benign look-alikes wrongly blocked": "{blocked} of {kept}".format(**twins)} if twins and twins["kept"] else {}


def yields(synth: dict[str, Any], refused: Iterable[str]) -> dict[str, Any]:
    """What the generator and the attack made, and what the judge refused of both, by reason."""
    rejected = Counter(synth["rejected"]) + Counter(refused)
    return {**synth, "rejected": dict(rejected.most_common())}
