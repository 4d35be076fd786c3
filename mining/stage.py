"""Mining in a run: what is wrong in the user's own training rows, and which attack successes teach most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sparring import phash
from sparring.context import Event
from sparring.media import IMAGES
from sparring.protocols import violation_scores
from sparring.record import Record
from sparring.results import Niche
from sparring.store import source_of

from .duplicates import semantic
from .labels import channel, folds, views
from .labels import issues as label_issues
from .selection import cells

if TYPE_CHECKING:
    from sparring.context import Context
    from sparring.retrain import Trained

SCHEMA = pa.schema(
    [("id", pa.string()), ("name", pa.string()), ("value", pa.float64()), ("by", pa.string()), ("round", pa.int64()),
     ("flagged", pa.bool_()), ("detail", pa.string())]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Findings:
    """About the training rows: ids of suspect labels, worst first, and the number of near-duplicate groups."""

    label_issues: tuple[str, ...]
    near_duplicate_groups: int


def examine(ctx: Context) -> Findings:
    """Label issues and near duplicates among the real training rows; once a run, since those rows do not change. Of images the
    perceptual hash of each, too: `detail` in hex, flagged where another row's is near, `value` how near."""
    rows = ctx.corpus.by("train")
    images = ctx.job.medium is IMAGES
    code = source_of(label_issues, channel, views, folds, semantic, *([phash] if images else []))
    key = {**ctx.key, "mining": ctx.job.mining, "code": code}

    def make() -> pa.Table:
        vectors = ctx.embedder.encode([r.content for r in rows])
        numbers = [ctx.policy.labels.index(r.label_name) for r in rows]
        issues = label_issues.find(vectors, numbers, [r.group for r in rows], seed=ctx.job.seed)
        group = semantic.near_duplicate_groups(vectors, ctx.job.mining.near_duplicate)
        found: list[dict[str, Any]] = []
        for i, row in enumerate(rows):
            common = {"id": row.id, "by": ctx.embedder.name, "round": 0}
            suggested = ctx.policy.labels[int(issues.suggested[i])]
            found.append({**common, "name": "label_quality", "value": float(issues.quality[i]),
                          "flagged": bool(issues.flagged[i]), "detail": suggested})  # fmt: skip
            if group[i] >= 0:
                found.append({**common, "name": "near_duplicate", "value": 1.0, "flagged": True, "detail": str(group[i])})
        found += _hashes([r.id for r in rows], [r.image or b"" for r in rows]) if images else []
        return pa.Table.from_pylist(found, schema=SCHEMA)

    table = ctx.run.table("round-00/mined/data-00000.parquet", key, make).to_pylist()
    suspect = sorted((r for r in table if r["name"] == "label_quality" and r["flagged"]), key=lambda r: r["value"])
    groups = len({r["detail"] for r in table if r["name"] == "near_duplicate"})
    ctx.progress(Event("mine", 0, 1, 1, {"label_issues": len(suspect), "near_duplicate_groups": groups}))
    return Findings(tuple(r["id"] for r in suspect), groups)


def _hashes(ids: Sequence[str], images: Sequence[bytes]) -> list[dict[str, Any]]:
    hashes = phash.phash(images)
    nearest = np.full(len(ids), 64)
    pairs = phash.near_pairs(hashes)
    apart = phash.distance(hashes[pairs[:, 0]], hashes[pairs[:, 1]])
    for side in (0, 1):
        np.minimum.at(nearest, pairs[:, side], apart)
    return [
        {"id": i, "by": "phash", "round": 0, "name": "perceptual_hash", "value": 1 - bits / 64, "flagged": bits < 64,
         "detail": f"{value:016x}"}
        for i, value, bits in zip(ids, hashes.tolist(), nearest.tolist(), strict=True)
    ]  # fmt: skip


def pick(ctx: Context, hard: Sequence[Record], trained: Trained, niches: Mapping[str, Niche], *, round: int) -> list[Record]:
    """The successes worth training on under the round's budget, the cells of the archive in turn; hard is what the target is
    surest about, wrongly."""
    stands, target = [niches[r.id] for r in hard], trained.target
    key = {
        **ctx.key, "mining": ctx.job.mining, "rows": [r.id for r in hard], "target": trained.key, "niches": stands,
        "code": source_of(cells),
    }  # fmt: skip

    def make() -> pa.Table:
        vectors = ctx.embedder.encode([r.content for r in hard])
        scores = np.nan_to_num(violation_scores(target, [r.content for r in hard], failed_ok=True), nan=1.0)
        hardness = np.clip((target.threshold - scores) / max(target.threshold, 1e-9), 0, 1)
        kinds = ["+".join(sorted({s.name for s in r.operators})) for r in hard]
        budget, near = ctx.job.mining.select, ctx.job.mining.near_duplicate
        chosen = set(cells.select(hardness, vectors, stands, kinds, budget, near=near))
        found = [
            {
                "id": r.id,
                "name": "hardness",
                "value": float(h),
                "by": "margin",
                "round": round,
                "flagged": i in chosen,
                "detail": f"{niche.cell} {kind}",
            }
            for i, (r, h, niche, kind) in enumerate(zip(hard, hardness, stands, kinds, strict=True))
        ]
        return pa.Table.from_pylist(found, schema=SCHEMA)

    table = ctx.run.table(f"round-{round:02d}/mined/part-00000.parquet", key, make).to_pylist()
    wanted = {r["id"] for r in table if r["flagged"]}
    ctx.progress(Event("mine", round, 1, 1, {"selected": len(wanted), "of": len(hard)}))
    return [r for r in hard if r.id in wanted]
