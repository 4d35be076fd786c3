"""The dataset card, out of the manifest: what the hub reads in its header, what a person reads below."""

from __future__ import annotations

from typing import Any

import yaml

from ..record import BENIGN, features_of
from . import licences
from .manifest import SIDES, Manifest, Shard

TAG = "sparring"  # in the card of every dataset that Sparring wrote
GATE = {
    "extra_gated_heading": "Access to rows that break a content policy",
    "extra_gated_prompt": (
        "This dataset holds text and media that break a content policy. It serves to train and test content-moderation "
        "classifiers. The owners read each request."
    ),
    "extra_gated_fields": {
        "Name": "text",
        "Organisation": "text",
        "What I want to do with it": "text",
        "I use it for defence only: to train, test or study content moderation": "checkbox",
        "I pass no row on to people who did not ask for access": "checkbox",
    },
    "extra_gated_button_content": "Ask for access",
}
_SIZES = (("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6), ("1M<n<10M", 10**7))


def card(found: Manifest) -> str:
    lines = [
        "---", yaml.safe_dump(header(found), sort_keys=False, allow_unicode=True, width=10_000).strip(), "---", "",
        f"# {found.name}", "",
        "> **Content warning.** Rows labelled other than `benign` break the policy below. They serve to train and test "
        "content-moderation classifiers, nothing else.", "",
        f"Made by Sparring for the policy `{found.policy}` version {found.policy_version}. Rows with `origin = synthetic` are "
        "synthetic: a program made them from the rows named in `parent_ids` and `root_ids`.", "",
        *_rows(found), *_made(found), *_checked(found), *_figures(found), *_limits(found),
    ]  # fmt: skip
    return "\n".join([*lines, ""])


def header(found: Manifest) -> dict[str, Any]:
    """What the hub and `datasets` read."""
    files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in found.splits]
    configs: list[dict[str, Any]] = [{"config_name": "default", "default": True, "data_files": files}]
    configs += [
        {"config_name": table, "data_files": [{"split": "train", "path": f"{table}/*.parquet"}]}
        for table in SIDES
        if any(side.table == table for side in found.sides.values())
    ]
    return {
        "pretty_name": found.name,
        "language": sorted(found.count(lambda c: c.language)),
        "license": "other",
        "task_categories": ["text-classification"],
        "size_categories": [next((name for name, most in _SIZES if found.rows < most), "n>10M")],
        "tags": ["content-moderation", "adversarial", "synthetic", TAG],
        "configs": configs,
        "dataset_info": {
            "config_name": "default",
            "features": features_of(found.labels)._to_yaml_list(),
            "splits": [
                {
                    "name": split,
                    "num_bytes": sum(s.content_bytes for s in found.of(split).values()),
                    "num_examples": sum(s.rows for s in found.of(split).values()),
                }
                for split in found.splits
            ],
            "download_size": sum(s.bytes for s in found.shards.values()),
            "dataset_size": sum(s.content_bytes for s in found.shards.values()),
        },
        **GATE,
    }


def _rows(found: Manifest) -> list[str]:
    lines = ["## Rows", "", _line(["split", "rows", *found.labels, "synthetic"]), f"|{'---|' * (len(found.labels) + 3)}"]
    for split in found.splits:
        shards: list[Shard] = list(found.of(split).values())
        labels = found.count(lambda c: c.label, shards)
        made = found.count(lambda c: c.origin, shards)["synthetic"]
        lines.append(_line([split, sum(s.rows for s in shards), *(labels[name] for name in found.labels), made]))
    parts = {part: [s for s in found.shards.values() if s.part == part] for part in sorted(found.parts)}
    lines += ["", "| added by | rows | synthetic | policy version |", "|---|---|---|---|"]
    for part, shards in parts.items():
        versions = ", ".join(sorted(found.count(lambda c: c.policy_version, shards)))
        made = found.count(lambda c: c.origin, shards)["synthetic"]
        lines.append(_line([f"`{part}`", sum(s.rows for s in shards), made, versions]))
    gone = ", ".join(f"{n} {what}" for what, n in sorted(found.gone.items()) if n)
    return [
        *lines,
        "",
        "No lineage and no near-duplicate group stands in two splits.",
        "",
        *([f"Gone since: {gone}.", ""] if gone else []),
    ]


def _made(found: Manifest) -> list[str]:
    made = found.count(lambda c: (c.generator or "?", c.label == BENIGN) if c.origin == "synthetic" else None)
    lines = ["## How the synthetic rows were made", ""]
    lines += [f"- `{name}`: {n} {'benign' if benign else 'violating'} rows" for (name, benign), n in sorted(made.items())]
    models = found.count(lambda c: (c.model, c.licence or "") if c.model else None)
    if models:
        lines += ["", "| model | rows | licence | what its terms say of output |", "|---|---|---|---|"]
    for (model, licence), n in sorted(models.items()):
        said = licences.terms(licence).says if licence else "its licence was not stated: ask before you pass the rows on"
        said += "; the owners say that they have other terms" if licence in found.accepted else ""
        lines.append(_line([model, n, licence or "not stated", said]))
    return [*lines, ""]


def _checked(found: Manifest) -> list[str]:
    share = found.checked / found.rows if found.rows else 0.0
    return [
        "## Checked by people", "",
        f"People labelled {found.checked} of {found.rows} rows ({share:.1%}); what they said, and what stood there before, is "
        "in the table `labels`. That the other synthetic rows still violate was judged by classifiers.", "",
    ]  # fmt: skip


def _figures(found: Manifest) -> list[str]:
    facts = [(name, key, _shown(value)) for name, known in found.facts.items() for key, value in known.items()]
    lines = ["## Figures", "", "| job | figure | value |", "|---|---|---|", *map(_line, facts), ""]
    return lines if facts else []


def _limits(found: Manifest) -> list[str]:
    return [
        "## Licence and limits", "",
        "Real rows keep the licence of their source. Attacks here are those of one tool against one classifier: absence of a "
        "row is no evidence of robustness. Labels stand under the policy version of their row. A scan kept out rows that hold "
        "known forms of access tokens and private keys; it does not know every form.", "",
        "## To have a row removed", "",
        "Write to the owners (the tab Community) and name the row's `id`. They run `sparring publish erase ID`: the row and "
        "every row made from it go, and their ids are never used again. Earlier versions, under their tags, hold them until "
        "the owners delete those.", "",
        "## To read it", "",
        "`load_dataset(REPOSITORY, revision=\"v3\")` reads version 3; without `revision`, the latest. A row keeps its `id` for "
        "ever. What was withdrawn stands in the table `tombstones`, what was labelled anew in `labels`: "
        "`load_dataset(REPOSITORY, \"tombstones\")` (one split, `train`).",
    ]  # fmt: skip


def _line(cells: Any) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) == 4:
        return f"{value[0]:.3f} [{value[1]:.3f}, {value[2]:.3f}], n = {value[3]}"
    return str(value)
