"""The whole of mining on small data sets, with small embedders."""

from __future__ import annotations

import csv
import io
import json
import pathlib
from random import Random

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mining.dataset import command
from mining.dataset.labelstudio import CONTROL
from mining.dataset.mine import Settings, mine
from mining.dataset.read import Columns, read
from mining.dataset.result import SCHEMA, MiningResult
from mining.labels.verdicts import ACTIONS
from sparring.errors import DataError, UserError

HAM = "lunch at noon tomorrow see you home bus late dinner mum call sleep movie book train friday weekend class".split()
SPAM = "free prize claim cash winner urgent offer click loan credit bonus guaranteed reward entry txt mobile deal".split()
QUICK = Settings(budget=12, plantings=0)


def rows(n: int = 160, seed: int = 0) -> dict[str, list]:
    """Sentences of two kinds; ten labels are flipped, four texts stand twice with small changes."""
    rng, text, label, key = Random(seed), [], [], []
    for i in range(n):
        spam = i % 4 == 0
        text.append(" ".join(rng.sample(SPAM if spam else HAM, 7)) + f" {i}")
        label.append("spam" if spam else "ham")
        key.append(f"k{i:04d}")
    for i in range(0, 40, 4):
        label[i] = "ham"
    for i in (61, 65, 69, 73):
        text.append(text[i].upper().replace("E", "3") + "!")
        label.append(label[i])
        key.append(f"copy{i}")
    return {"text": text, "label": label, "key": key}


def mined(source: dict, *, quick: Settings = QUICK, embedder: str = "dummy", **columns) -> MiningResult:
    given = Columns(**{"labels": "label", "text": "text", "key": "key", **columns})
    return mine(read(source, given), embedder=embedder, settings=quick)


def test_each_queue_is_cut_at_its_own_budget(result):
    whole = {label: result.queue(label) for label in ("ham", "spam")}
    cut = mined(rows(), quick=Settings(budget=12, plantings=0, queue={"ham": 3}), embedder="wordllama")
    assert len(whole["ham"]) > 3
    assert cut.queue("ham") == whole["ham"][:3]
    assert cut.queue("spam") == whole["spam"]
    with pytest.raises(DataError, match="queues of ham, spam; got 'scam'"):
        mined(rows(), quick=Settings(budget=12, plantings=0, queue={"scam": 3}), embedder="wordllama")


@pytest.fixture(scope="module")
def result() -> MiningResult:
    return mined(rows(), embedder="wordllama")


def test_planted_flips_are_in_the_queue_of_the_label_they_were_given(result):
    planted = {f"k{i:04d}" for i in range(0, 40, 4)}
    queue = result.queue("ham")
    assert len(planted & set(queue)) >= 8
    assert len(planted & set(queue[:10])) >= 8, "worst first"
    assert len(result.queue("spam")) <= 3
    told = {r["id"]: r for r in result.table.to_pylist()}
    for id in planted & set(queue):
        assert told[id]["suggested_label"] == "spam"
        assert told[id]["reasons"]
        assert told[id]["neighbours"]
        assert all(set(near) == {"id", "cosine", "label"} for near in told[id]["neighbours"])
    assert result.queue("ham")[0] == min(
        (r for r in told.values() if r["queue"] == "ham"), key=lambda r: r["queue_rank"]
    )["id"]  # fmt: skip


def test_disguised_copies_go_and_say_for_whom(result):
    told = {r["id"]: r for r in result.table.to_pylist()}
    for i in (61, 65, 69, 73):
        pair = [told[f"k{i:04d}"], told[f"copy{i}"]]
        gone = [r for r in pair if r["verdict"] == "duplicate"]
        assert len(gone) == 1, pair
        other = next(r for r in pair if r is not gone[0])
        assert gone[0]["stands_for"] == other["id"]
        assert other["id"] in gone[0]["why_removed"]
        assert other["verdict"] != "duplicate"
        assert pair[0]["group"] == pair[1]["group"]
    assert told["copy61"]["undone"]


def test_every_row_has_one_verdict_and_its_action_in_the_order_of_the_source(result):
    table = result.table.to_pylist()
    assert result.table.schema.equals(SCHEMA)
    assert [r["row"] for r in table] == list(range(len(table)))
    assert all(r["action"] == ACTIONS[r["verdict"]] for r in table)
    assert sum(result.verdicts.values()) == len(table)
    for r in table:
        assert (r["verdict"] == "duplicate") == (r["stands_for"] is not None) == (r["why_removed"] is not None)
        assert (r["queue"] is None) == (r["queue_rank"] is None) == (not r["label_flagged"])
    assert len(result.selected) == len(set(result.selected)) == 12
    audit = [r["id"] for r in table if r["audit"]]
    assert len(audit) == 2
    assert set(audit) <= set(result.selected)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(result, rng):
    source = rows()
    order = list(range(len(source["text"])))
    rng.shuffle(order)
    again = mined({name: [column[i] for i in order] for name, column in source.items()}, embedder="wordllama")

    def by_id(found: MiningResult) -> dict:
        return {r.pop("id"): r for r in found.table.drop(["row"]).to_pylist()}

    assert by_id(again) == by_id(result), "exactly, to the last digit"
    assert again.selected == result.selected
    assert again.slices == result.slices
    assert again.facts == result.facts


def test_a_second_run_is_the_same(result):
    again = mined(rows(), embedder="wordllama")
    assert again.table.equals(result.table)
    assert again.summary() == result.summary()


def test_without_labels_duplicates_and_novel_rows_are_left_and_it_is_said():
    found = mined(rows(), labels=None)
    assert set(name for name, count in found.verdicts.items() if count) <= {"ok", "novel", "duplicate"}
    assert found.verdicts["duplicate"] >= 4
    assert any("two labels at least" in note for note in found.notes)
    assert any("facility_location" in note for note in found.notes)
    assert len(found.selected) == 12


def test_unlabelled_rows_are_what_to_label_next_and_the_target_tells_about_the_pool():
    source = rows()
    source["p"] = [[0.1, 0.9] if any(w in t.lower() for w in SPAM) else [0.95, 0.05] for t in source["text"]]
    source["label"] = [label if i % 2 else None for i, label in enumerate(source["label"])]
    source["label"][4] = "spam"
    for i in range(0, 60, 4):
        source["label"][i] = "spam"
    found = mined(source, scores="p")
    told = {r["id"]: r for r in found.table.to_pylist()}
    assert all(told[id]["label"] is None for id in found.selected)
    assert "prevalence of violations, unlabelled rows" in found.facts
    assert "near misses" in found.facts
    assert all(told[id]["label"] is None for id in found.facts["near misses"])


def test_a_slice_that_the_target_gets_wrong_is_found_by_its_attribute():
    source = rows(n=600)
    source["language"] = ["de" if i % 5 == 0 else "en" for i in range(len(source["text"]))]
    right = [1 if label == "spam" else 0 for label in source["label"]]
    rng = Random(3)
    wrong = [lang == "de" and rng.random() < 0.6 for lang in source["language"]]
    source["p"] = [[0.1, 0.9] if (y == 1) != bad else [0.9, 0.1] for y, bad in zip(right, wrong, strict=True)]
    found = mined(source, scores="p", attributes=("language",))
    assert found.slices[0].name == "language=de"
    assert found.slices[0].low > found.slices[0].rest
    members = [r for r in found.table.to_pylist() if 0 in r["slices"]]
    assert {source["language"][r["row"]] for r in members} == {"de"}


def test_what_a_review_is_worth_stands_by_queue_and_noise():
    found = mined(rows(), quick=Settings(budget=5, plantings=1))
    assert {c.queue for c in found.worth} <= {"ham", "spam"}
    assert {c.noise for c in found.worth} == {"symmetric", "boundary", "missed"}
    for curve in found.worth:
        assert list(curve.found) == sorted(curve.found)
        assert all(low <= mid <= high for low, mid, high in zip(curve.low, curve.found, curve.high, strict=True))
    assert found.errors["ham"] > found.errors["spam"]


def digits(n: int = 300) -> dict[str, list]:
    from sklearn.datasets import load_digits

    data = load_digits()
    out: dict[str, list] = {"image": [], "label": [], "key": []}
    for i in range(n):
        file = io.BytesIO()
        Image.fromarray((data.images[i] * 15).astype(np.uint8), "L").save(file, "PNG")
        out["image"].append({"bytes": file.getvalue(), "path": None})
        out["label"].append(str(data.target[i]))
        out["key"].append(f"d{i}")
    return out


def test_images_are_mined_like_texts():
    import datasets

    source = digits()
    planted = {"d7": "3", "d21": "8", "d40": "1", "d80": "5"}
    source["label"] = [planted.get(key, label) for key, label in zip(source["key"], source["label"], strict=True)]
    source["image"].append({"bytes": b"broken", "path": None})
    source["label"].append("1")
    source["key"].append("broken")
    data = datasets.Dataset.from_dict(source).cast_column("image", datasets.Image())
    found = mine(read(data, Columns(labels="label", key="key")), settings=QUICK)
    assert found.rejected == ((300, "no image that can be read"),)
    flagged = {id for label in found.labels for id in found.queue(label)}
    assert len(set(planted) & flagged) >= 3
    assert found.facts["embedder"] == "pixels-16"


def test_vectors_alone_are_enough():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    x = np.eye(3, 12)[y] + 0.1 * rng.standard_normal((120, 12))
    given_labels = [f"c{label}" for label in y]
    given_labels[6] = "c1"
    source = {"key": [f"v{i}" for i in range(120)], "label": given_labels}
    found = mine(read(source, Columns(labels="label", key="key"), vectors=x), settings=QUICK)
    assert "v6" in found.queue("c1")
    assert found.facts["embedder"] == "given"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"text": ["a b c"], "label": ["x"], "key": ["1"]}, "two labels"),
        ({"text": ["same text here"] * 30, "label": ["x", "y"] * 15, "key": [str(i) for i in range(30)]}, None),
        ({"text": ["a b", "c d", "e f"], "label": ["x", "y", "z"], "key": list("123")}, None),
        ({"text": [], "label": [], "key": []}, "two labels"),
    ],
)
def test_small_and_strange_data_sets_have_a_result(source, said):
    found = mined(source)
    assert found.table.num_rows == len(source["text"])
    if said:
        assert any(said in note for note in found.notes)


def test_what_the_user_got_wrong_is_said():
    source = rows()
    bad = np.ones((164, 4))
    bad[3, 1] = np.nan
    with pytest.raises(DataError, match="NaN or infinity in 1 rows"):
        mine(read(source, Columns(labels="label", key="key"), vectors=bad), settings=QUICK)
    with pytest.raises(DataError, match="expected scores of 2 labels a row"):
        mined({**source, "p": [[0.1, 0.2, 0.7]] * 164}, scores="p")
    with pytest.raises(DataError, match=r"expected scores in \[0, 1\]"):
        mined({**source, "p": [[0.1, 7.0]] * 164}, scores="p")
    with pytest.raises(DataError, match="zeros alone in 164 rows"):
        mine(read(source, Columns(labels="label", key="key"), vectors=np.zeros((164, 4))), settings=QUICK)
    with pytest.raises(DataError, match="in the order of which the scores stand"):
        mined({**source, "p": [[0.1, 0.9]] * 164}, labels=None, scores="p")
    with pytest.raises(DataError, match="expected the rare label out of ham, spam"):
        mined(source, quick=Settings(rare="nosuch", plantings=0))


def test_the_command_writes_a_table_a_report_and_a_summary_without_texts(tmp_path):
    import datasets

    file = tmp_path / "rows.parquet"
    datasets.Dataset.from_dict(rows()).to_parquet(file)
    out = command.run(str(file), Columns(labels="label", key="key"), tmp_path / "mined", settings=QUICK, embedder="dummy")
    assert pq.read_table(out.table).schema.equals(SCHEMA)
    summary = json.loads((tmp_path / "mined/summary.json").read_text())
    assert summary["rows"] == 164
    assert not [text for text in rows()["text"] if text in json.dumps(summary)], "telling words of a slice at most"
    assert out.report.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert any("queue ham" in line for line in command.lines(out))
    again = command.run(str(file), Columns(labels="label", key="key"), tmp_path / "mined", settings=QUICK, embedder="dummy")
    assert pq.read_table(again.table).equals(pq.read_table(out.table)), "with embeddings from the disk"


def test_leakage_between_two_files(tmp_path):
    import datasets

    source = rows()
    for name, part in (("a", slice(0, 100)), ("b", slice(90, 164))):
        datasets.Dataset.from_dict({k: v[part] for k, v in source.items()}).to_parquet(tmp_path / f"{name}.parquet")
    columns = Columns(labels="label", key="key")
    found = command.compare(str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"), columns, embedder="dummy")
    assert len(found.to_json()["levels"]["exact"]["pairs"]) == 10
    assert found.lines()
    datasets.Dataset.from_dict({"key": ["1"], "n": [1]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(UserError, match="expected a column of texts"):
        command.compare(str(tmp_path / "c.parquet"), str(tmp_path / "a.parquet"), Columns(key="key"))


def test_leakage_takes_vectors_that_are_there(tmp_path):
    import datasets

    rng = np.random.default_rng(0)
    vectors = {"a": rng.normal(size=(9, 8)), "b": rng.normal(size=(9, 8)), "c": rng.normal(size=(9, 4))}
    vectors["b"][3] = 7 * vectors["a"][5]
    for name, v in vectors.items():
        table = {"text": [f"{name} {i}" for i in range(9)], "v": v.tolist()}
        datasets.Dataset.from_dict(table).to_parquet(tmp_path / f"{name}.parquet")
    columns = Columns(text="text", vectors="v")
    found = command.compare(str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"), columns)
    assert len(found.to_json()["levels"]["cosine"]["pairs"]) == 1
    with pytest.raises(DataError, match="expected vectors of one embedder"):
        command.compare(str(tmp_path / "a.parquet"), str(tmp_path / "c.parquet"), columns)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.npy", b"", "No data left in file"),
        ("cut.npy", b"\x93NUMPY", "expected a NumPy array"),
        ("gone.npy", None, "no file"),
    ],
)
def test_a_damaged_array_is_said(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        command.run(rows(), Columns("label", "text"), tmp_path / "out", settings=QUICK, vectors=tmp_path / name)


def test_a_file_in_the_place_of_the_folder_is_said_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="expected a folder to write to"):
            command.run(rows(), Columns("label", "text"), out, settings=QUICK)


def test_what_was_set_apart_is_said_with_its_reason(tmp_path):
    source = rows()
    source["text"][3] = ""
    said: list[str] = []
    found = command.run(source, Columns("label", "text"), tmp_path, settings=QUICK, embedder="dummy", told=said.append)
    assert said[0] == "reading what is in memory", "no rows"
    assert command.lines(found)[:2] == ["163 rows, 1 set apart", "  1: empty"]
    source["label"][3], source["text"][3] = "odd", "fine"
    columns = Columns("label", "text", renamed={"ham": "benign"})
    policy = pathlib.Path(__file__).parents[3] / "examples/policies/spam.yaml"
    command.run(source, columns, tmp_path, settings=QUICK, embedder="dummy", policy=policy)
    with (tmp_path / "rejected.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [["row", "reason"], ["3", "label 'odd' is none of benign, spam"]]


def test_queues_go_to_label_studio_and_decisions_come_back(tmp_path):
    from sparring import labels

    out = command.run(rows(), Columns(labels="label", key="key"), tmp_path, settings=QUICK, embedder="wordllama", tasks=True)
    tasks = json.loads(out.tasks.read_text())
    asked = [task["data"]["sparring_id"] for task in tasks]
    assert asked[: len(out.result.queue("ham"))] == out.result.queue("ham")
    assert set(asked) == {*out.result.queue("ham"), *out.result.queue("spam"), *out.result.selected}
    assert any(str(out.tasks) in line for line in command.lines(out))
    choice = {"from_name": CONTROL, "to_name": "text", "type": "choices", "value": {"choices": ["spam"]}}
    decided = {"completed_by": 7, "updated_at": "2026-11-22T10:00:00Z", "created_at": "2026-11-22T10:00:00Z",
               "was_cancelled": False, "result": [choice]}  # fmt: skip
    export = tmp_path / "export.json"
    export.write_text(json.dumps([{**tasks[0], "annotations": [decided]}]))
    found = command.decide(tmp_path, export)
    assert len(found.labels) == 1
    assert {id: row["label_name"] for id, row in labels.latest(labels.read(tmp_path)).items()} == {asked[0]: "spam"}
    told = {r["id"]: r for r in pq.read_table(out.table).to_pylist()}
    assert told[asked[0]]["label"] == "ham", "never over the old label"
    with pytest.raises(UserError, match="expected a folder that"):
        command.decide(tmp_path / "nosuch", export)
