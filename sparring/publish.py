"""Records as a Hugging Face dataset on disk: parquet by split, ClassLabel, and a card that says how it was made."""

from __future__ import annotations

import pathlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import yaml

from .context import Context
from .policy import Policy
from .record import BENIGN, SPLITS, Record, features, to_table


def dataset(ctx: Context, path: str, records: Sequence[Record], facts: dict[str, Any]) -> pathlib.Path:
    """Writes a folder that `datasets.load_dataset` reads; `facts` are the round's figures for the card."""

    def make(aside: pathlib.Path) -> None:
        write(aside, records, ctx.policy, name=ctx.job.name, facts=facts)

    return ctx.run.unit(path, [[r.id for r in records], facts, ctx.policy.content_hash], make)


def folder(run: pathlib.Path, round: int) -> pathlib.Path:
    """Where a round's dataset stands in a run folder."""
    return run / f"round-{round:02d}" / "dataset"


def write(folder: pathlib.Path, records: Sequence[Record], policy: Policy, *, name: str, facts: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = folder / "data"
    data.mkdir(parents=True)
    schema: pa.Schema = features(policy).arrow_schema  # holds the ClassLabel for `datasets` in its metadata
    for split in SPLITS:
        rows = [r for r in records if r.split == split]
        if rows:
            table = to_table(rows, policy.labels).replace_schema_metadata(schema.metadata)
            pq.write_table(table, data / f"{split}-00000-of-00001.parquet", compression="zstd")
    (folder / "README.md").write_text(card(records, policy, name=name, facts=facts), encoding="utf-8")


def card(records: Sequence[Record], policy: Policy, *, name: str, facts: dict[str, Any]) -> str:
    """The dataset card: YAML header, warning, counts, how it was made, what it is not."""
    splits = [s for s in SPLITS if any(r.split == s for r in records)]
    header = {
        "pretty_name": name,
        "language": sorted({r.language for r in records if r.language}),
        "task_categories": ["text-classification"],
        "tags": ["content-moderation", "adversarial", "synthetic", "sparring"],
        "license": "other",
        "configs": [{"config_name": "default", "data_files": [{"split": s, "path": f"data/{s}-*.parquet"} for s in splits]}],
    }
    lines = [
        "---", yaml.safe_dump(header, sort_keys=False, allow_unicode=True).strip(), "---", "", f"# {name}", "",
        "> **Content warning.** Rows labelled other than `benign` break the policy below. They serve to train and test "
        "content-moderation classifiers, nothing else.", "",
        f"Made by Sparring for the policy `{policy.name}` version {policy.version}. Rows with `origin = synthetic` are "
        "synthetic: a program made them from the rows named in `parent_ids` and `root_ids`.", "",
        "## Rows", "", "| split | rows | " + " | ".join(policy.labels) + " | synthetic |",
        "|---|---|" + "---|" * (len(policy.labels) + 1),
    ]  # fmt: skip
    for split in splits:
        rows = [r for r in records if r.split == split]
        count = Counter(r.label_name for r in rows)
        cells = [str(count[label]) for label in policy.labels]
        lines.append(f"| {split} | {len(rows)} | {' | '.join(cells)} | {sum(r.origin == 'synthetic' for r in rows)} |")
    lines += [
        "",
        "No lineage and no near-duplicate group stands in two splits.",
        "",
        "## How the synthetic rows were made",
        "",
    ]
    made = Counter(
        (r.generator.name if r.generator else "?", r.label_name == BENIGN) for r in records if r.origin == "synthetic"
    )
    lines += [f"- `{g}`: {n} {'benign' if benign else 'violating'} rows" for (g, benign), n in sorted(made.items())]
    lines += ["", "## Figures", "", "| figure | value |", "|---|---|"]
    lines += [f"| {key} | {_shown(value)} |" for key, value in facts.items()]
    lines += [
        "", "## Licence and limits", "",
        "Real rows keep the licence of their source. That synthetic rows still violate was judged by classifiers, not by "
        "people, unless a row of `labels` says otherwise. Attacks here are those of one tool against one classifier: "
        "absence of a row is no evidence of robustness.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) == 4:
        return f"{value[0]:.3f} [{value[1]:.3f}, {value[2]:.3f}], n = {value[3]}"
    return str(value)
