"""Label Studio both ways: tasks out, decisions back as new versions of a label, in both of its formats."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mining.dataset.labelstudio import CONTROL, config, read_decisions, write_tasks
from mining.dataset.result import MiningResult
from sparring import labels as kept
from sparring.errors import DataError, UserError

from . import made

WHEN = "2026-03-09T22:16:08.728353Z"


@pytest.fixture
def found() -> MiningResult:
    return made.result(60)


def an_annotation(choice: str | None, by: Any = 7, **other: Any) -> dict[str, Any]:
    result = [] if choice is None else [
        {"id": "a1", "from_name": CONTROL, "to_name": "text", "type": "choices", "value": {"choices": [choice]}}]  # fmt: skip
    return {"id": 1001, "completed_by": by, "result": result, "was_cancelled": False, "ground_truth": False,
            "created_at": "2026-03-09T22:10:00Z", "updated_at": WHEN, "lead_time": 4.2} | other  # fmt: skip


def answered(tasks: list[dict[str, Any]], choose=lambda task: "spam", **other: Any) -> list[dict[str, Any]]:
    """The tasks as Label Studio exports them in full."""
    return [{**task, "id": 5000 + i, "project": 3, "annotations": [an_annotation(choose(task), **other)], "drafts": []}
            for i, task in enumerate(tasks)]  # fmt: skip


def minimal(full: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What its JSON-MIN makes of a full export: an item for each annotation not cancelled, `id` its own number."""
    items = []
    for task in full:
        for annotation in task["annotations"] or [{"result": []}]:
            if annotation.get("was_cancelled"):
                continue
            said = {r["from_name"]: r["value"]["choices"][0] for r in annotation["result"]}
            by = annotation.get("completed_by")
            items.append(task["data"] | {"id": task["id"]} | said | {
                "annotator": by["email"] if isinstance(by, dict) else by, "annotation_id": annotation.get("id"),
                "created_at": annotation.get("created_at"), "updated_at": annotation.get("updated_at")})  # fmt: skip
    return items


def export(tmp_path, items: Any):
    path = tmp_path / "export.json"
    path.write_text(json.dumps(items), encoding="utf-8")
    return path


def tasks_of(found: MiningResult, tmp_path, ids=None, **other: Any) -> list[dict[str, Any]]:
    ids = found.queue("ham") if ids is None else ids
    path = write_tasks(found, ids, tmp_path / "tasks", **({"texts": made.texts(found)} | other))
    return json.loads(path.read_text(encoding="utf-8"))


def read(found: MiningResult, path, folder, **other: Any):
    return read_decisions(path, folder, **({"ids": found.table["id"].to_pylist(), "labels": found.labels} | other))


def test_a_queue_becomes_tasks_in_its_order_with_the_suggestion_as_prediction(tmp_path, found):
    tasks = tasks_of(found, tmp_path, policy_version="1.0")
    assert [task["data"]["sparring_id"] for task in tasks] == found.queue("ham")
    texts, rows = made.texts(found), {r["id"]: r for r in found.table.to_pylist()}
    for task in tasks:
        row = rows[task["data"]["sparring_id"]]
        assert task["data"] == {"sparring_id": row["id"], "policy_version": "1.0", "text": texts[row["id"]]}
        assert (task["meta"]["label"], task["meta"]["queue_rank"]) == (row["label"], row["queue_rank"])
        (prediction,) = task["predictions"]
        assert prediction["score"] == pytest.approx(row["label_score"], abs=1e-6)
        (choice,) = prediction["result"]
        assert choice == {
            "from_name": CONTROL,
            "to_name": "text",
            "type": "choices",
            "value": {"choices": [row["suggested_label"]]},
        }


def test_the_interface_shows_what_tasks_hold_and_offers_the_labels(tmp_path, found):
    tasks_of(found, tmp_path, texts=None, images=made.images(found))
    view = ET.parse(tmp_path / "tasks" / "labeling.xml").getroot()
    (image,) = view.findall("Image")
    (choices,) = view.findall("Choices")
    assert (image.get("value"), choices.get("toName"), choices.get("choice")) == ("$image", image.get("name"), "single")
    assert [choice.get("value") for choice in choices] == list(found.labels)
    assert not view.findall("Text")


def test_images_are_data_uris_or_paths_and_every_task_holds_what_the_interface_shows(tmp_path, found):
    one, two, three = found.table["id"].to_pylist()[:3]
    pictures = {one: made.images(found)[one], two: "/data/local-files/?d=b.png"}
    tasks = tasks_of(found, tmp_path, [one, two, three], images=pictures, texts={one: "caption", three: "only words"})
    assert tasks[0]["data"]["image"].startswith("data:image/png;base64,iVBOR")
    assert tasks[1]["data"]["image"] == "/data/local-files/?d=b.png"
    assert [task["data"]["text"] for task in tasks] == ["caption", "", "only words"]
    assert tasks[2]["data"]["image"] == ""


@pytest.mark.parametrize("ids", [["sms#0", "who"], ["sms#0", "sms#0"], ["sms#0", "sms#1", "\ud800"]])
def test_rows_that_cannot_go_out_are_named(tmp_path, found, ids):
    with pytest.raises(UserError, match=r"not in the result: 'who'|asked for twice: 'sms#0'|not in the result: '.ud800'"):
        tasks_of(found, tmp_path, ids)
    with pytest.raises(UserError, match="2 without text or image: 'sms#1', 'sms#2'"):
        tasks_of(found, tmp_path, ["sms#0", "sms#1", "sms#2"], texts={"sms#0": "x"})
    assert not (tmp_path / "tasks").exists()


@pytest.mark.parametrize("make", [lambda full: full, minimal], ids=["json", "json-min"])
def test_decisions_come_back_as_labels_with_who_and_when(tmp_path, found, make):
    before = found.table
    full = answered(tasks_of(found, tmp_path, policy_version="1.0"), by={"id": 7, "email": "ann@example.org"})
    got = read(found, export(tmp_path, make(full)), tmp_path / "labels", policy_version="1.0")
    assert got.notes == []
    assert [row["id"] for row in got.labels] == found.queue("ham")
    assert {(r["label_name"], r["who"], r["when"], r["policy_version"]) for r in kept.read(tmp_path / "labels")} == {
        ("spam", "ann@example.org", "2026-03-09T22:16:08.728353+00:00", "1.0")
    }
    assert found.table.equals(before)


def test_reading_twice_keeps_once_and_a_changed_mind_is_a_new_version(tmp_path, found):
    tasks = tasks_of(found, tmp_path, ["sms#1"])
    read(found, export(tmp_path, answered(tasks)), tmp_path / "labels")
    again = read(found, export(tmp_path, answered(tasks)), tmp_path / "labels")
    assert (again.labels, again.repeated) == ((), 1)
    later = answered(tasks, lambda _: "ham", updated_at="2026-03-10T08:00:00+02:00")
    read(found, export(tmp_path, later), tmp_path / "labels")
    versions = kept.read(tmp_path / "labels")
    assert [row["label_name"] for row in versions] == ["spam", "ham"]
    assert kept.latest(versions)["sms#1"]["when"] == "2026-03-10T06:00:00.000000+00:00"
    assert len(list((tmp_path / "labels").glob("labels-*.parquet"))) == 2


@pytest.mark.parametrize("make", [lambda full: full, minimal], ids=["json", "json-min"])
def test_each_annotator_of_a_row_is_kept(tmp_path, found, make):
    (task,) = tasks_of(found, tmp_path, ["sms#1"])
    task["annotations"] = [an_annotation("spam"), an_annotation("ham", by=8, id=1002), an_annotation("ham", by=None, id=1003)]
    got = read(found, export(tmp_path, make([task])), tmp_path / "labels", who={"7": "Ann"})
    assert {(row["who"], row["label_name"]) for row in got.labels} == {
        ("Ann", "spam"), ("Label Studio user 8", "ham"), ("Label Studio user (removed)", "ham")}  # fmt: skip


def test_skipped_empty_and_unanswered_are_counted_and_are_no_label(tmp_path, found):
    full = answered(tasks_of(found, tmp_path, ["sms#0", "sms#1", "sms#2", "sms#3"]))
    full[0]["annotations"][0]["was_cancelled"] = True
    full[1]["annotations"] = [an_annotation(None)]
    full[2]["annotations"] = []
    got = read(found, export(tmp_path, full), tmp_path / "labels")
    assert (got.skipped, got.empty, got.unanswered, len(got.labels)) == (1, 1, 1, 1)
    assert got.notes == ["1 label was skipped", "1 label was without a choice", "1 tasks without an answer"]
    got = read(found, export(tmp_path, minimal(full)), tmp_path / "other")
    assert (got.skipped, got.empty, got.unanswered, len(got.labels)) == (0, 1, 1, 1)


def test_a_prediction_is_nobodys_decision(tmp_path, found):
    tasks = tasks_of(found, tmp_path)
    got = read(found, export(tmp_path, tasks), tmp_path / "labels")
    assert (got.labels, got.unanswered) == ((), len(tasks))
    assert not (tmp_path / "labels").exists()


def test_another_policy_version_is_said_and_kept(tmp_path, found):
    full = answered(tasks_of(found, tmp_path, ["sms#0", "sms#1"], policy_version="1.0"))
    got = read(found, export(tmp_path, full), tmp_path / "labels", policy_version="2.0")
    assert got.versions == {"1.0": 2}
    assert "2 labels were given under policy version '1.0', not today's" in got.notes[0]
    assert {row["policy_version"] for row in kept.read(tmp_path / "labels")} == {"1.0"}


def broken(full: list[dict[str, Any]], how: str) -> Any:
    annotation = full[1]["annotations"][0]
    choice = annotation["result"][0]["value"]
    match how:
        case "id":
            full[1]["data"]["sparring_id"] = "who\ud800"
        case "no id":
            del full[1]["data"]["sparring_id"]
        case "number":
            full[1]["data"]["sparring_id"] = 1
        case "label":
            choice["choices"] = ["scam"]
        case "two":
            choice["choices"] = ["ham", "spam"]
        case "list":
            choice["choices"] = [["ham"]]
        case "time":
            annotation.update(updated_at=None, created_at="yesterday")
    return full


@pytest.mark.parametrize(
    ("how", "match"),
    [("id", r"task 2 \('who.ud800'\): no row of that id"), ("no id", r"task 2 \('None'\)"), ("number", r"task 2 \('1'\)"),
     ("label", r"task 2 \('sms#1'\): 'scam' is no label"), ("two", "2 choices, expected one"), ("list", "is no label"),
     ("time", "its time is 'yesterday'")],
)  # fmt: skip
def test_a_fault_names_the_task_and_nothing_is_kept(tmp_path, found, how, match):
    full = answered(tasks_of(found, tmp_path, ["sms#0", "sms#1", "sms#2"]))
    with pytest.raises(DataError, match=match) as raised:
        read(found, export(tmp_path, broken(full, how)), tmp_path / "labels")
    assert "1 faulty" in str(raised.value)
    assert "Nothing was kept" in str(raised.value)
    assert not (tmp_path / "labels").exists()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '"x"', "[" * 100_000, "\x00", "id,label\n1,spam"])
def test_a_file_that_is_no_export_is_said(tmp_path, found, text):
    (tmp_path / "export.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="JSON or JSON-MIN"):
        read(found, tmp_path / "export.json", tmp_path / "labels")
    with pytest.raises(DataError, match="JSON or JSON-MIN"):
        read(found, tmp_path / "nowhere.json", tmp_path / "labels")


TEXT = st.one_of(
    st.text(alphabet=st.characters(codec=None), max_size=40),
    st.sampled_from(["<script>alert(1)</script>", "]]>&amp;\"'", "a\x00b\x1b\r\n\t", "\ud800", "\\u0000", "z" * 2_000_000]),
)
NAME = st.one_of(st.text(max_size=12), st.sampled_from(["a\x00", "a\\u0000", "<b>&\"'", "\n", " spam ", "a\\", "\ufffe"]))


def strings(data: Any) -> list[str]:
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return [data] if isinstance(data, str) else [s for each in inner for s in strings(each)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT, id=NAME, labels=st.lists(NAME, min_size=2, max_size=4, unique=True), min_format=st.booleans())
def test_hostile_content_ids_and_labels_survive_both_ways(tmp_path, text, id, labels, min_format):
    rows = made.rows(2)
    rows[0]["id"], rows[0]["suggested_label"] = id, labels[1]
    found = made.result(of=rows, labels=tuple(labels))
    folder = tmp_path / "tasks"
    (task,) = json.loads(write_tasks(found, [id], folder, texts={id: text}).read_text(encoding="utf-8"))
    if not any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in text):
        assert task["data"]["text"] == text
    assert not re.search("[\x00\ud800-\udfff]", " ".join(strings(task)))
    offered = [choice.get("value") for choice in ET.fromstring(config(labels)).iter("Choice")]
    assert len(set(offered)) == len(labels)
    assert task["predictions"][0]["result"][0]["value"]["choices"] == [offered[1]]
    out = tmp_path / f"labels-{abs(hash((text, id, *labels, min_format)))}"
    full = answered([task], lambda _: offered[1])
    got = read(found, export(tmp_path, minimal(full) if min_format else full), out)
    assert [(row["id"], row["label_name"]) for row in (*got.labels, *kept.read(out)[: got.repeated])] == [(id, labels[1])]
