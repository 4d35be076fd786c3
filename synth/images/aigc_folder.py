"""Pairs of real and generated images as a folder that `datasets.load_dataset` reads: a configuration for each generator that is
left out of training, and a card that shows what the shortcut audit found."""

from __future__ import annotations

import json
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import yaml

import sparring

from .aigc import REAL, Pairs, Split
from .shortcuts import Audit

CARD, AUDIT = "README.md", "audit.json"
SIDES = ["real", "generated"]


def write(
    folder: pathlib.Path, pairs: Pairs, splits: Sequence[Split], audit: Audit | None, *, name: str, made_by: Mapping[str, Any]
) -> None:
    """data/GENERATOR-SPLIT.parquet, README.md and audit.json in `folder`, which is there and empty.

    A row stands in one file: of the generator that it or its pair came from, and of the split that its source is in. The
    configuration `without_NAME` learns from the files of all other generators and is tested on those of NAME. `made_by`:
    what each generator says of itself. One generator alone, for which `splits` is empty, gives the default configuration.
    """
    from datasets import ClassLabel, Features, Image, Value

    table = pairs.table()
    text = Value("string")
    features = Features(
        id=text, image=Image(), generator=text, pair=text, source=text, label=text, level=Value("float64"), against=text,
        parameters=text, generated=ClassLabel(names=SIDES),
    )  # fmt: skip
    held = {int(i) for split in splits for i in split.test}
    files: dict[str, list[int]] = {}
    for i, sample in enumerate(pairs.samples):
        files.setdefault(f"data/{sample.against}-{'test' if i in held else 'train'}.parquet", []).append(i)
    (folder / "data").mkdir()
    for path, rows in files.items():
        _write(folder / path, table.take(rows), features.arrow_schema)
    said = None if audit is None else asdict(audit)
    (folder / AUDIT).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    card = _card(name, pairs, sorted(files), splits, audit, made_by)
    (folder / CARD).write_text(card, encoding="utf-8")


def lines(audit: Audit) -> list[str]:
    """What the audit found, for a person to read."""
    facts = ", ".join(f"{name} {share:.2f}" for name, share in audit.facts.items())
    found = [f"  {name}: {why}" for name, why in audit.found.items()]
    return [
        f"told apart by a fact of the file alone (chance is 0.5): {facts}",
        f"a small detector: {audit.detector:.2f}; "
        + ", ".join(f"after {name} on both sides {share:.2f}" for name, share in audit.processed.items()),
        f"real images that it still knows as real once they come as JPEG at quality 75: {audit.jpeg_reals:.2f}",
        *(["shortcuts, which a detector would win by instead of content:", *found] if found else ["no shortcut was found"]),
    ]


def _write(path: pathlib.Path, rows: Any, schema: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: rows[name].to_pylist() for name in rows.column_names}
    columns["image"] = [{"bytes": data, "path": None} for data in columns["image"]]
    columns["generated"] = [int(one) for one in columns["generated"]]
    pq.write_table(pa.Table.from_pydict(columns, schema=schema), path, compression="zstd")


def _card(
    name: str, pairs: Pairs, files: Sequence[str], splits: Sequence[Split], audit: Audit | None, made_by: Mapping[str, Any]
) -> str:
    def listed(split: str, keep: Any) -> dict[str, Any]:
        return {"split": split, "path": [f for f in files if f.endswith(f"-{split}.parquet") and keep(f)]}

    every = [part for part in (listed(split, lambda f: True) for split in ("train", "test")) if part["path"]]
    configs: list[dict[str, Any]] = [{"config_name": "default", "default": True, "data_files": every}]
    for split in splits:
        own = f"data/{split.held_out}-test.parquet"
        parts = [listed("train", lambda f, left=split.held_out: f != f"data/{left}-train.parquet")]
        parts.append({"split": "test", "path": [own]})
        configs.append({"config_name": f"without_{split.held_out}", "data_files": parts})
    head = {
        "pretty_name": name, "license": "other", "task_categories": ["image-classification"],
        "tags": ["ai-generated-content", "synthetic", "sparring"], "configs": configs,
    }  # fmt: skip
    counts = Counter((s.generator or "real", s.level) for s in pairs.samples)
    levels = sorted({s.level for s in pairs.samples})
    rows = [f"| {g} | " + " | ".join(str(counts[g, level]) for level in levels) + " |" for g in sorted({g for g, _ in counts})]
    told = [f"- {line.strip()}" for line in lines(audit)] if audit else ["Too few images for one."]
    failed = [f"- {reason}: {n}" for reason, n in sorted(pairs.failed.items())]
    settings = [f"- `{key}`: `{json.dumps(said, sort_keys=True)}`" for key, said in sorted(made_by.items())]
    return "\n".join([
        "---", yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10_000).strip(), "---", "", f"# {name}", "",
        f"Pairs of a real image and a generated one, made by Sparring {sparring.__version__} to train and test detectors of "
        "generated images. Both sides show the same content, and went through the same size, codec and laundering; rows with "
        "`generated = generated` are synthetic.", "",
        "Files carry no note of their origin: a note on one side alone would be the first thing that a detector learns. The "
        "columns say it: `generator` (empty for a real image), `pair`, `source`, `parameters` (all that makes it again).", "",
        "`level` is how hard both sides of a pair were laundered. `against` is the generator of the pair, on both sides.", "",
        "| generator | " + " | ".join(f"level {level:g}" for level in levels) + " |", "|---|" + "---|" * len(levels), *rows, "",
        *(["No source, nor a near copy of it, stands in training and in test; `without_NAME` is tested on a generator that it "
           "did not learn from.", ""] if splits else []),
        *(["Images that were not made:", "", *failed, ""] if failed else []), "## Generators", "", *settings, "",
        "## Shortcut audit", "", *told, "",
    ])  # fmt: skip


def real(pairs: Pairs) -> int:
    """Real images among the samples, each counted once."""
    return len({s.source for s in pairs.samples if s.generator == REAL})


def held(splits: Sequence[Split]) -> int:
    """Samples that are tested on."""
    return len(np.unique(np.concatenate([s.test for s in splits]))) if splits else 0
