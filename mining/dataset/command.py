"""What `sparring mine DATASET` and `sparring mine leakage A B` do, apart from printing."""

from __future__ import annotations

import json
import pathlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sparring import engines, registry
from sparring import policy as policies
from sparring.errors import UserError

from ..duplicates.leakage import Leakage, Side, leakage
from ..labels.verdicts import ACTIONS
from . import asked, labelstudio
from . import read as reading
from .mine import Settings, embedded, mine
from .read import Columns, Rows
from .result import MiningResult


@dataclass(frozen=True, slots=True)
class Mined:
    result: MiningResult
    table: pathlib.Path
    report: pathlib.Path
    tasks: pathlib.Path | None = None


def run(
    source: Any, columns: Columns, out: pathlib.Path, *, settings: Settings, policy: pathlib.Path | None = None,
    split: str | None = None, benign: str | None = None, vectors: pathlib.Path | None = None,
    scores: pathlib.Path | None = None, dynamics: pathlib.Path | None = None, target: pathlib.Path | None = None,
    guard: pathlib.Path | None = None, embedder: str = "minilm", tasks: bool = False, engine: str = "local",
    told: Callable[[str], None] = lambda what: None,
) -> Mined:  # fmt: skip
    """Mines a data set into the folder `out`: mined.parquet, rejected.csv, summary.json, report.html, and the embeddings; with
    `tasks` also Label Studio's, of all queues and then the rows to label next.

    `target` is a job file or the folder of a saved target, whose threshold then holds; `guard` a file of a guard's settings."""
    rules = policies.load(policy) if policy else None
    names = rules.labels if rules else ()
    there = next(p for p in (out, *out.parents) if p.exists())
    if there.is_file():
        raise UserError(f"{out}: expected a folder to write to, found a file in its place. Fix: --out FOLDER")
    classifier = asked.target_at(target) if target else None
    settings = replace(settings, threshold=classifier.threshold) if classifier else settings
    model = asked.guard_at(guard, rules) if guard else None
    told(f"reading {source if isinstance(source, (str, pathlib.Path)) else 'what is in memory'}")
    rows = reading.read(
        source, columns, split=split, names=names, benign=benign, vectors=_array(vectors), scores=_array(scores),
        dynamics=_array(dynamics), scratch=there,
    )  # fmt: skip
    with engines.using(registry.make("engine", engine)):
        result = mine(
            rows, embedder=embedder, settings=settings, cache=out / "embeddings", target=classifier, guard=model, told=told
        )
    if rules:
        result = replace(result, facts={**result.facts, "policy": rules.name, "policy version": rules.version})
    told("writing")
    table = result.write(out)
    texts, images = (_ById(rows.ids, held) if held is not None else None for held in (rows.texts, rows.images))
    from .report import write_report  # templates and columns' functions, which importing `mining` should not pay for

    report, put = write_report(result, out / "report.html", texts=texts, images=images), None
    if tasks:
        ids = list(dict.fromkeys([id for label in result.labels for id in result.queue(label)] + result.selected))
        version = rules.version if rules else ""
        put = labelstudio.write_tasks(result, ids, out / "tasks", texts=texts, images=images, policy_version=version)
    return Mined(result, table, report, put)


class _ById(Mapping[str, Any]):
    """What rows hold, by their ids; read when it is asked for."""

    def __init__(self, ids: Sequence[str], held: Sequence[Any]):
        self._row, self._held = {id: i for i, id in enumerate(ids)}, held

    def __getitem__(self, id: str) -> Any:
        return self._held[self._row[id]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)


def decide(folder: pathlib.Path, export: pathlib.Path) -> labelstudio.Decisions:
    """Keeps what annotators decided, out of Label Studio's export, beside the result in `folder`; no label is overwritten."""
    import pyarrow.parquet as pq

    table, summary = folder / "mined.parquet", folder / "summary.json"
    if not table.is_file() or not summary.is_file():
        raise UserError(f"{folder}: expected a folder that `sparring mine DATASET --out` wrote. Fix: name that folder")
    told = json.loads(summary.read_text(encoding="utf-8"))
    ids, version = set(pq.read_table(table, columns=["id"])["id"].to_pylist()), told["facts"].get("policy version", "")
    return labelstudio.read_decisions(export, folder, ids=ids, labels=told["labels"], policy_version=version)


def compare(
    a: str, b: str, columns: Columns, *, splits: Sequence[str | None] = (None, None), embedder: str | None = None
) -> Leakage:
    """Leakage between two data sets, or two splits of one: exact, masked, near, and by cosine where an embedder is named."""
    sides = [_side(source, columns, split) for source, split in zip((a, b), splits, strict=True)]
    return leakage(*sides, embedder=registry.make("embedder", embedder) if embedder else None)


def _side(source: str, columns: Columns, split: str | None) -> Side:
    rows = reading.read(source, columns, split=split)
    if rows.texts is None:
        raise UserError(f"{source}: expected a column of texts to compare; found none. Fix: --text NAME")
    name = f"{source} ({split})" if split else source
    return Side(name, rows.ids, rows.texts, _labels(rows), embedded(rows, "")[0] if rows.vectors is not None else None)


def _labels(rows: Rows) -> list[str | None] | None:
    return [rows.names[i] if i >= 0 else None for i in rows.labels] if rows.names else None


def _array(path: pathlib.Path | None) -> np.ndarray | None:
    if path is None:
        return None
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path}: expected a NumPy array (.npy), found no file. Fix: check the path") from None
    except (OSError, ValueError, EOFError) as error:  # NumPy's for a file that is damaged, empty, or holds objects
        raise UserError(f"{path}: expected a NumPy array of numbers (.npy); {error}. Fix: numpy.save it again") from None


def lines(mined: Mined) -> list[str]:
    """What to print: verdicts, queues with what a review is worth, slices, where the files are."""
    result = mined.result
    out = [f"{result.table.num_rows:,} rows, {len(result.rejected):,} set apart"]
    out += [f"  {count:,}: {why}" for why, count in Counter(why for _, why in result.rejected).most_common(3)] + [""]
    out += [f"{name:12} {count:>8,}  {action}" for name, count, action in _verdicts(result)]
    for label in result.labels:
        if queue := result.queue(label):
            out.append(f"queue {label:20} {len(queue):>6,} rows to review{_worth(result, label, len(queue))}")
    out += [
        f"worse: {s.name} ({', '.join(s.words) or 'no words'}): {s.error:.1%} wrong, elsewhere {s.rest:.1%}"
        for s in result.slices
    ]
    out += _people(result)
    out += [f"note: {note}" for note in result.notes]
    tasks = [f"tasks   {mined.tasks}, with labeling.xml beside it"] if mined.tasks else []
    return [*out, "", f"report  {mined.report}", f"table   {mined.table}", *tasks]


def _people(result: MiningResult) -> list[str]:
    """How far annotators are to be trusted, the least first."""
    told = result.facts.get("annotators, quality of each", {})
    ranked = result.table["ask_again_rank"]
    again = f"{len(ranked) - ranked.null_count:,} rows to ask about once more"
    alpha = result.facts.get("annotators, Krippendorff's alpha")
    agreement = f", Krippendorff's alpha {alpha:.2f}" if alpha is not None else ""
    lines = [f"  {who}: {said}" for who, said in sorted(told.items(), key=lambda pair: pair[1])[:5]]
    return [f"{len(told)} annotators{agreement}, {again}; quality, lowest first", *lines] if told else []


def _verdicts(result: MiningResult) -> list[tuple[str, int, str]]:
    return [(name, count, ACTIONS[name]) for name, count in result.verdicts.items()]


def _worth(result: MiningResult, label: str, rows: int) -> str:
    """Wrong labels that a review of the queue is expected to find, under the noise that makes it hardest."""
    curves = [c for c in result.worth if c.queue == label]
    if not curves:
        return ""
    cautious = min(curves, key=lambda c: sum(c.found))
    found = float(np.interp(rows, cautious.reviewed, cautious.found))
    return f", about {found:.0f} of them wrong" if found >= 0.5 else ""
