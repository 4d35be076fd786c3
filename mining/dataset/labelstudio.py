"""Rows to Label Studio and its decisions back, as new versions of a label beside the old one.

A task names its row under `data.sparring_id`, not `data.id`: Label Studio's JSON-MIN export puts its own number there. It
also carries the policy version there, since JSON-MIN drops `meta`. Formats: https://labelstud.io/guide/task_format and
https://labelstud.io/guide/export.
"""

from __future__ import annotations

import base64
import datetime
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pyarrow as pa

from sparring import labels as kept
from sparring.errors import DataError, UserError
from sparring.labels import Label

from .result import MiningResult

CONTROL = "decision"  # the name of the choice in Label Studio
META = (
    "label", "verdict", "queue", "queue_rank", "suggested_label", "label_score", "reasons", "selected_rank", "audit",
)  # fmt: skip
TOLD = 5  # faulty rows that an error names
_SIGNATURES = ((b"\x89PNG", "png"), (b"\xff\xd8", "jpeg"), (b"GIF8", "gif"), (b"BM", "bmp"), (b"RIFF", "webp"))
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")  # what XML or a data base of JSON refuses
_REFUSED = re.compile("[\x00\ud800-\udfff]")  # of these, what JSON in PostgreSQL cannot hold


@dataclass(frozen=True, slots=True)
class Decisions:
    """What an export held. `labels` were kept now; the counts are of annotations, but `unanswered` of tasks."""

    labels: tuple[Label, ...]
    repeated: int = 0  # kept before, from an earlier reading of the same export
    skipped: int = 0  # the annotator pressed Skip; JSON-MIN does not hold these
    empty: int = 0  # submitted without a choice
    unanswered: int = 0  # tasks that nobody looked at
    versions: Mapping[str, int] | None = None  # policy versions other than today's -> labels given under them

    @property
    def notes(self) -> list[str]:
        """What a person should hear about."""
        counts = {"kept before": self.repeated, "skipped": self.skipped, "without a choice": self.empty}
        told = [f"{n} {'label was' if n == 1 else 'labels were'} {what}" for what, n in counts.items() if n]
        told += [f"{self.unanswered} tasks without an answer"] if self.unanswered else []
        said = "{} labels were given under policy version {!r}, not today's: kept under that version"
        return told + [said.format(n, version) for version, n in (self.versions or {}).items()]


def write_tasks(
    result: MiningResult,
    ids: Sequence[str],
    folder: Path,
    *,
    texts: Mapping[str, str] | None = None,
    images: Mapping[str, bytes | str] | None = None,
    policy_version: str = "",
) -> Path:
    """`tasks.json` (to import) and `labeling.xml` (the labeling interface) in `folder`; returns the first.

    `ids` are any rows of the result: a queue, the selection; they keep their order. An image is bytes, which become a data
    URI, or a path or URL that Label Studio can open. What its data base cannot hold of a text (NUL, lone surrogates) is
    spelled out as `[U+0000]`; all else is the text as it is. Raises `UserError` for an id that is not in the result, is
    asked for twice or has neither text nor image.
    """
    texts, images = texts or {}, images or {}
    rows = _rows(result, ids)
    faults = {
        "not in the result": [id for id in ids if id not in rows],
        "asked for twice": [id for id, n in Counter(ids).items() if n > 1],
        "without text or image": [id for id in ids if id in rows and id not in texts and id not in images],
    }
    for what, which in faults.items():
        if which:
            raise UserError(
                f"expected rows of the result with content; {len(which)} {what}: {_some(which)}. Fix: leave them out"
            )
    has = [name for name, given in (("image", images), ("text", texts)) if any(id in given for id in ids)] or ["text"]
    tasks = []
    for number, id in enumerate(ids, 1):
        data = {"sparring_id": _stored(id), "policy_version": policy_version}
        if "text" in has:  # every task needs what the interface shows, be it empty
            data["text"] = _REFUSED.sub(lambda found: f"[U+{ord(found[0]):04X}]", texts.get(id, ""))
        if "image" in has:
            data["image"] = _uri(images.get(id, ""))
        tasks.append({"id": number, "data": data, "meta": _meta(rows[id]), "predictions": _prediction(rows[id], has[-1])})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labeling.xml").write_text(config(result.labels, has), encoding="utf-8")
    (folder / "tasks.json").write_text(json.dumps(tasks, indent=1), encoding="ascii")
    return folder / "tasks.json"


def config(labels: Sequence[str], has: Collection[str] = ("text",)) -> str:
    """The labeling interface in Label Studio's XML: one choice out of `labels`, about the objects in `has`."""
    lines = ["<View>"]
    if "image" in has:
        lines.append('  <Image name="image" value="$image"/>')
    if "text" in has:
        lines.append('  <Text name="text" value="$text" valueType="text"/>')
    to = "text" if "text" in has else "image"
    lines.append(f'  <Choices name="{CONTROL}" toName="{to}" choice="single" required="true" showInline="true">')
    lines += [f"    <Choice value={quoteattr(_stored(label))}/>" for label in labels]
    return "\n".join([*lines, "  </Choices>", "</View>", ""])


def read_decisions(
    path: Path,
    folder: Path,
    *,
    ids: Collection[str],
    labels: Sequence[str],
    policy_version: str = "",
    who: Mapping[str, str] | None = None,
) -> Decisions:
    """Keeps the decisions of an export (JSON or JSON-MIN) at `path` as new files `labels-*.parquet` in `folder`.

    Every annotator's decision on a row is kept, under the time it was last changed and a name: `who` maps Label Studio's
    user numbers or e-mail addresses to names, else they stand as they are. A label is kept under the policy version that
    its task was exported with. Reading an export again keeps only what is new in it. Predictions are nobody's decision.
    Raises `DataError`, naming the tasks, before anything is kept: an id not in `ids`, a label not in `labels`, several
    choices, no time.
    """
    known, allowed = ({_stored(name): name for name in names} for names in (ids, labels))
    found: list[Label] = []
    faults: list[str] = []
    count: Counter[str] = Counter()
    for number, task in enumerate(_tasks(path), 1):
        data = task["data"]
        stored, version = data.get("sparring_id"), data.get("policy_version") or ""
        place = f"task {number} ({str(stored)[:40]!a})"
        if not isinstance(stored, str) or stored not in known:
            faults.append(f"{place}: no row of that id")
            continue
        if not task["annotations"]:
            count["unanswered"] += 1
        for annotation in task["annotations"]:
            if annotation["cancelled"]:
                count["skipped"] += 1
            elif not annotation["choices"]:
                count["empty"] += 1
            elif len(annotation["choices"]) > 1:
                faults.append(f"{place}: {len(annotation['choices'])} choices, expected one")
            elif not isinstance(choice := annotation["choices"][0], str) or choice not in allowed:
                faults.append(f"{place}: {str(choice)[:40]!a} is no label")
            elif (when := _when(annotation["when"])) is None:
                faults.append(f"{place}: its time is {str(annotation['when'])[:40]!a}")
            else:
                name = (who or {}).get(annotation["who"]) or _named(annotation["who"])
                found.append({"id": known[stored], "label_name": allowed[choice], "when": when,
                              "who": _utf8(name), "policy_version": _utf8(str(version))})  # fmt: skip
    if faults:
        raise DataError(
            f"{path}: expected an export of the tasks that were written for this data, with labels out of "
            f"{_some(allowed)}; {len(faults)} faulty: {'; '.join(faults[:TOLD])}. Nothing was kept. Fix: correct them in "
            "Label Studio, or give the data and labels that the tasks were written for, and read it again"
        )
    before = {tuple(sorted(row.items())) for row in kept.read(folder)}
    new = [dict(pairs) for pairs in dict.fromkeys(tuple(sorted(row.items())) for row in found) if pairs not in before]
    kept.append(folder, new)
    other = Counter(row["policy_version"] for row in new if row["policy_version"] != policy_version)
    return Decisions(tuple(new), len(found) - len(new), count["skipped"], count["empty"], count["unanswered"], dict(other))


def _tasks(path: Path) -> Iterator[dict[str, Any]]:
    """Each task as `data` and `annotations`, whichever of the two formats; in JSON-MIN an annotation has an item."""
    try:
        items = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected Label Studio's export as JSON or JSON-MIN; got {error}") from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise DataError(f"{path}: expected a list of tasks, as Label Studio exports JSON or JSON-MIN")
    for item in items:
        if isinstance(item.get("data"), dict):
            given = [each for each in item.get("annotations") or () if isinstance(each, dict)]
            yield {"data": item["data"], "annotations": [_full(each) for each in given]}
        else:
            yield {"data": item, "annotations": [_minimal(item)] if item.get("annotation_id") is not None else []}


def _full(annotation: Mapping[str, Any]) -> dict[str, Any]:
    results = [r for r in annotation.get("result") or () if isinstance(r, dict) and r.get("from_name") == CONTROL]
    choices = [choice for r in results for choice in (r.get("value") or {}).get("choices") or ()]
    return {"choices": choices, "cancelled": bool(annotation.get("was_cancelled")), "who": _who(annotation.get("completed_by")),
            "when": annotation.get("updated_at") or annotation.get("created_at")}  # fmt: skip


def _minimal(item: Mapping[str, Any]) -> dict[str, Any]:
    said = item.get(CONTROL)
    said = said.get("choices") if isinstance(said, dict) else said
    choices = [] if said is None else said if isinstance(said, list) else [said]
    return {"choices": choices, "cancelled": False, "who": _who(item.get("annotator")),
            "when": item.get("updated_at") or item.get("created_at")}  # fmt: skip


def _who(by: Any) -> str:
    """An e-mail address where there is one, else Label Studio's number of the user; empty where the user is gone."""
    by = by.get("email") or by.get("id") if isinstance(by, dict) else by
    return "" if by is None else str(by)


def _named(user: str) -> str:
    return f"Label Studio user {user or '(removed)'}" if not user or user.isdigit() else user


def _when(raw: Any) -> str | None:
    """UTC to the microsecond, as every kept label has it; None where it is no time."""
    try:
        time = datetime.datetime.fromisoformat(raw)
    except (TypeError, ValueError):
        return None
    return time.replace(tzinfo=time.tzinfo or datetime.UTC).astimezone(datetime.UTC).isoformat(timespec="microseconds")


def _rows(result: MiningResult, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    import pyarrow.compute as pc

    wanted = pa.array([id for id in ids if _utf8(id) == id], pa.string())
    chosen = result.table.select(("id", *META)).filter(pc.is_in(result.table["id"], wanted))
    return {row["id"]: row for row in chosen.to_pylist()}


def _meta(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the data manager can sort and filter by; the given label stands here, where it does not sway the annotator."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value]
        return _stored(value) if isinstance(value, str) else value if value == value else None

    return {name: plain(row[name]) for name in META}


def _prediction(row: Mapping[str, Any], to: str) -> list[dict[str, Any]]:
    if row["suggested_label"] is None:
        return []
    value, score = {"choices": [_stored(row["suggested_label"])]}, row["label_score"]
    choice = {"from_name": CONTROL, "to_name": to, "type": "choices", "value": value}
    sure = {} if score is None or score != score else {"score": round(score, 6)}
    return [{"model_version": "sparring", **sure, "result": [choice]}]


def _uri(image: bytes | str) -> str:
    if isinstance(image, str):
        return image
    kind = next((kind for start, kind in _SIGNATURES if image.startswith(start)), "png")
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def _stored(name: str) -> str:
    """`name` so that XML and a data base can hold it; no two names become the same: a backslash only stands in escapes."""
    return json.dumps(name)[1:-1] if "\\" in name or _UNFIT.search(name) else name


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _some(names: Collection[str]) -> str:
    shown = [ascii(name[:40]) for name in list(names)[:TOLD]]
    return ", ".join([*shown, *(["..."] if len(names) > TOLD else [])])
