"""A person's judgement beside the audit's: a blind sheet goes out, its labels come back as an append-only side table.

A sheet mixes made violating rows with real ones of known label, which show how careful the reviewer was.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq

from . import labels as kept
from . import policy as policies
from .errors import DataError, UserError
from .labels import Label
from .metrics import Figure, kappa, rate
from .policy import Policy
from .record import BENIGN, Record, digest, from_table

COLUMNS = ("key", "text", "label", "note")
CELL = 32_000  # characters that a spreadsheet's cell can hold
_FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠]")  # also behind apostrophes of the text's own: what is defused can be undone


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How a person's labels compare. A figure is `[value, low, high, n]`, None over nothing.

    `validity`: made rows given the record's label. `control`: real rows, also apart as `true_positive_rate` (violating rows
    given their label) and `false_positive_rate` (benign rows called violating). `with_audit`: made rows where person and
    audit judge agree on validity; `kappa` is Cohen's over them, None where it is not defined (each said one thing only).
    """

    who: str
    n: int
    unfilled: int
    validity: Figure | None
    control: Figure | None
    true_positive_rate: Figure | None
    false_positive_rate: Figure | None
    with_audit: Figure | None
    kappa: float | None

    def to_json(self) -> dict[str, Any]:
        """Under the names of the other judges where they mean the same."""
        figures = asdict(self)
        shared = {"name": figures.pop("who"), "rows": figures.pop("n")}
        return shared | figures | {"false_positive_rates": {"benign": figures.pop("false_positive_rate")}}


def write_sheet(run_folder: Path, path: Path, *, rows: int = 200, seed: int = 0, policy: Path | None = None) -> int:
    """Writes the sheet at `path` and the policy beside it at `path`.policy.md; returns the number of rows, at most `rows`.

    A quarter are real. `policy` is needed only where the run's own cannot be found. Raises `UserError` when there is
    nothing to review, when `path` exists (it may hold somebody's work), or when the policy is not the run's.
    """
    rules = _policy(run_folder, policy)
    if path.exists():
        raise UserError(f"{path} exists and may hold labels. Fix: another path, or read it back and remove it")
    rng, records = Random(seed), _records(run_folder).values()
    made = [r for r in records if r.origin == "synthetic" and r.label_name != BENIGN]
    if not made:
        raise UserError(f"{run_folder}: expected made violating rows, found none. Fix: finish a round of the run first")
    chosen = rng.sample(made, min(len(made), max(1, rows - rows // 4)))
    controls = min(len(chosen) // 3, max(0, rows - len(chosen)))
    seeds = {root for r in chosen for root in r.root_ids}  # a reviewer must not see a row and its seed
    for violating, n in ((True, controls // 2), (False, controls - controls // 2)):
        side = [r for r in records if r.origin == "real" and r.id not in seeds and (r.label_name != BENIGN) == violating]
        chosen += rng.sample(side, min(n, len(side)))
    rng.shuffle(chosen)
    keys = {f"k{digest('review', seed, r.id)[:11]}": r for r in chosen}  # a letter first: no spreadsheet reads a number
    sheet = {"policy_version": rules.version, "labels": rules.labels, "rows": {key: r.id for key, r in keys.items()}}
    kept.put(run_folder / "review", "sheet-{:05d}.json", json.dumps(sheet, indent=1).encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "x", encoding="utf-8-sig", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        table.writerows((key, _defused(r.text or ""), "", "") for key, r in keys.items())
    path.with_name(path.name + ".policy.md").write_text(_guide(rules), encoding="utf-8")
    return len(keys)


def read_sheet(run_folder: Path, path: Path, *, who: str) -> Agreement:
    """Keeps the labels of a filled sheet under the name `who` and compares them; empty cells are counted, no error.

    Reading again appends a new version. Raises `DataError`, naming the rows, before anything is kept.
    """
    if not who.strip():
        raise UserError("expected the reviewer's name, got none")
    sheets = [json.loads(p.read_text(encoding="utf-8")) for p in sorted(run_folder.glob("review/sheet-*.json"))]
    if not sheets:
        raise UserError(f"{run_folder}: no sheet was written for it. Fix: write one first")
    known = {key: (id, sheet["policy_version"]) for sheet in sheets for key, id in sheet["rows"].items()}
    allowed = sheets[-1]["labels"]
    records = _records(run_folder)
    texts = {_flat(records[id].text) for id, _ in known.values() if id in records}
    when = kept.moment()
    labels: dict[str, Label] = {}
    faults: list[str] = []
    for number, (key, text, label) in enumerate(_rows(path), 2):
        id, version = known.get(key, ("", ""))
        if not id or key in labels:
            faults.append(f"row {number}: the key {key[:20]!r} {'stands twice' if id else 'is of no sheet of this run'}")
        elif id in records and _flat(text) != _flat(records[id].text) and _flat(text) in texts:
            faults.append(f"row {number}: its text belongs to another key (sort whole rows only)")
        elif label and label not in allowed:
            faults.append(f"row {number}: {label[:40]!r} is no label")
        labels[key] = {"id": id, "label_name": label, "who": who.strip(), "when": when, "policy_version": version}
    if faults:
        raise DataError(
            f"{path}: expected the keys of the sheet and labels out of {', '.join(allowed)} (or empty); "
            f"{len(faults)} faulty: {'; '.join(faults[:5])}. Nothing was kept. Fix the rows and read it again"
        )
    filled = [row for row in labels.values() if row["label_name"]]
    kept.append(run_folder / "review", filled)
    return _compare(run_folder, records, filled, unfilled=len(labels) - len(filled))


def human(run_folder: Path) -> dict[str, Any]:
    """`{"human": ...}` over every label that people gave, the latest of each row; empty before the first."""
    latest = kept.latest(kept.read(run_folder / "review"))
    return {"human": _compare(run_folder, _records(run_folder), list(latest.values())).to_json()} if latest else {}


def _compare(run_folder: Path, records: Mapping[str, Record], labels: Sequence[Label], unfilled: int = 0) -> Agreement:
    audit = _audit(run_folder)
    pairs = [(records[row["id"]], row["label_name"]) for row in labels if row["id"] in records]  # a rerun may have made others
    real, made = ([(r, label) for r, label in pairs if r.origin == origin] for origin in ("real", "synthetic"))
    violating = [label == r.label_name for r, label in real if r.label_name != BENIGN]
    benign = [label == BENIGN for r, label in real if r.label_name == BENIGN]
    verdicts = [(label == r.label_name, audit.get((r.round, r.parent_ids[:1], r.text))) for r, label in made]
    both = [(mine, theirs) for mine, theirs in verdicts if theirs is not None]
    return Agreement(
        who=", ".join(sorted({row["who"] for row in labels})), n=len(pairs), unfilled=unfilled,
        validity=rate([mine for mine, _ in verdicts]), control=rate(violating + benign),
        true_positive_rate=rate(violating), false_positive_rate=rate([not right for right in benign]),
        with_audit=rate([mine == theirs for mine, theirs in both]), kappa=kappa(*zip(*both, strict=True)) if both else None,
    )  # fmt: skip


def _audit(run_folder: Path) -> dict[tuple[Any, ...], bool | None]:
    """(round, parent ids, text) -> the audit judge's verdict on a success."""
    return {
        (int(shard.parts[-3].removeprefix("round-")), (row["seed_id"],), row["text"]): row["audit"]
        for shard in run_folder.glob("round-*/outcomes/*.parquet")
        for row in pq.read_table(shard, columns=["seed_id", "text", "audit"]).to_pylist()
    }


def _records(run_folder: Path) -> dict[str, Record]:
    """By id, the real rows and those that attacks and synth made and kept, as far as a sheet can show them."""
    places = ("data/*.parquet", "round-*/attacks/*.parquet", "round-*/synth/part-*.parquet")
    shards = [shard for place in places for shard in sorted(run_folder.glob(place))]
    rows = [r for shard in shards for r in from_table(pq.read_table(shard))]
    return {r.id: r for r in rows if 0 < len(r.text or "") <= CELL}


def _policy(run_folder: Path, given: Path | None) -> Policy:
    """The policy under which the run stands, told by its hash."""
    manifest = run_folder / "manifest.json"
    if not manifest.is_file():
        raise UserError(f"{run_folder}: expected a run folder, it holds no manifest.json. Fix: give one such as runs/NAME")
    run = json.loads(manifest.read_text(encoding="utf-8"))
    for place in [given] if given else [run_folder / "policy.yaml", Path(run["policy"])]:
        if place.is_file() and (found := policies.load(place)).content_hash == run["policy_hash"]:
            return found
    raise UserError(f"{run_folder}: expected its policy as it was in the run; {place} is not it. Fix: name the policy file")


def _rows(path: Path) -> list[tuple[str, str, str]]:
    """(key, text, label) of each row, however a spreadsheet saved it: comma, semicolon or tab, its own code page."""
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="replace")  # keys and labels are ASCII
        head = text.partition("\n")[0]
        found = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count)))
        rows = [[(row[name] or "").strip() for name in COLUMNS[:3]] for row in found]
    except (FileNotFoundError, csv.Error, KeyError) as error:
        raise DataError(f"{path}: expected CSV with the columns {', '.join(COLUMNS)}; got {error!r}") from None
    return [(key, _undone(text), label.lower()) for key, text, label in rows if key or text or label]


def _defused(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _undone(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _flat(text: str | None) -> str:
    """What is left of a text whatever a spreadsheet does to its white space."""
    return " ".join((text or "").split())


def _guide(rules: Policy) -> str:
    """What a reviewer reads: how to fill the sheet, then the policy."""
    lines = [
        f"# Policy `{rules.name}`, version {rules.version}", "", rules.description.strip(), "",
        "> **Content warning.** Most rows of the sheet were made or collected because they break this policy. Some were "
        "made by a program, some by people; which is left out on purpose.", "",
        f"Write one of these into the column `label`, by this policy alone: {', '.join(f'`{name}`' for name in rules.labels)}. "
        "Leave it empty where you can't tell. `note` is yours. Change nothing else; sort whole rows only; save as CSV, UTF-8. "
        "An apostrophe before `=`, `+`, `-` or `@` keeps the cell from being read as a formula.", "",
    ]  # fmt: skip
    for category in rules.categories:
        lines += [f"## `{category.name}`", "", category.definition.strip(), ""]
        lines += [f"- **{clause.id}** (severity {clause.severity}): {clause.text}" for clause in category.clauses]
        lines += ["", *(f"- Allowed: {item}" for item in category.allowed), ""]
    lines += [f"## `{BENIGN}`", "", *(f"- Allowed: {item}" for item in rules.allowed)]
    return "\n".join([*lines, *(f"- Unclear: {item}" for item in rules.ambiguity), ""])
