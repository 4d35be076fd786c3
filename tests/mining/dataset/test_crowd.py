"""Several annotators a row, from the columns of a file to what is asked once more."""

from __future__ import annotations

import json
from random import Random

import datasets
import numpy as np
import pytest
from typer.testing import CliRunner

from cli import app
from mining.dataset import command, crowd
from mining.dataset.mine import Settings, mine
from mining.dataset.read import Columns, Rows, read
from sparring.errors import DataError
from tests.mining.dataset.test_mine import rows

RIGHT = {"ann": 0.97, "ben": 0.9, "cid": 0.85, "dot": 0.6}
QUICK = Settings(budget=20, plantings=0)


def annotated(n: int = 160) -> tuple[dict[str, list], list[str]]:
    """Sentences of two kinds and four people of known skill, of whom three or fewer labelled a row; and the truth."""
    source, rng = rows(n), Random(1)
    true = ["spam" if int(key.strip("kcopy")) % 4 == 0 else "ham" for key in source["key"]]
    del source["label"]
    for who, right in RIGHT.items():
        said = [label if rng.random() < right else {"ham": "spam", "spam": "ham"}[label] for label in true]
        source[who] = [label if rng.random() < 0.7 else None for label in said]
    return source, true


def by_id(found) -> dict[str, dict]:
    return {row["id"]: row for row in found.table.to_pylist()}


@pytest.fixture(scope="module")
def mined():
    source, true = annotated()
    columns = Columns(text="text", key="key", annotators=tuple(RIGHT))
    return mine(read(source, columns), embedder="wordllama", settings=QUICK), source, true


def test_the_consensus_is_better_than_the_vote_and_doubts_where_it_is_wrong(mined):
    found, source, true = mined
    told = by_id(found)
    has = [(told[key], label) for key, label in zip(source["key"], true, strict=True) if told[key]["annotations"]]
    right = np.array([row["consensus"] == label for row, label in has])
    voted = np.array([row["label"] == label for row, label in has])
    assert right.mean() >= max(0.93, voted.mean())
    quality = np.array([row["consensus_quality"] for row, _ in has])
    assert quality[right].mean() > quality[~right].mean() if not right.all() else quality.min() > 0.5
    for key, row in told.items():
        place = source["key"].index(key)
        labels = [source[who][place] for who in RIGHT if source[who][place] is not None]
        assert row["annotations"] == len(labels)
        assert row["agreement"] == (pytest.approx(labels.count(row["consensus"]) / len(labels)) if labels else None)


def test_who_is_to_be_trusted_stands_in_the_summary(mined):
    found, source, _ = mined
    told = found.facts["annotators, quality of each"]
    quality = {who: float(said.split()[0]) for who, said in told.items()}
    assert min(quality, key=quality.__getitem__) == "dot"
    assert told["ann"].endswith(f"over {sum(v is not None for v in source['ann'])} rows")
    assert 0.2 < found.facts["annotators, Krippendorff's alpha"] < 0.9
    assert found.facts["annotators, consensus by"] == "crowdlab"
    lines = command.lines(command.Mined(found, None, None))
    at = next(i for i, line in enumerate(lines) if line.startswith("4 annotators"))
    assert lines[at + 1].startswith("  dot: 0.")


def test_rows_to_ask_about_once_more_are_those_that_little_is_known_of(mined):
    found, _, _ = mined
    ranked = sorted((r for r in found.table.to_pylist() if r["ask_again_rank"]), key=lambda r: r["ask_again_rank"])
    assert [r["ask_again_rank"] for r in ranked] == list(range(1, 21))
    others = [r for r in found.table.to_pylist() if not r["ask_again_rank"] and r["annotations"]]
    assert np.mean([r["consensus_quality"] for r in ranked]) < np.mean([r["consensus_quality"] for r in others]) - 0.05
    assert all(r["annotations"] for r in ranked), "rows that nobody labelled are what `selected_rank` is for"


def test_columns_lists_and_named_entries_say_the_same():
    source, _ = annotated(80)
    people, keep = tuple(RIGHT), ("text", "key")
    wide = read(source, Columns(text="text", key="key", annotators=people))
    each = list(zip(*(source[who] for who in people), strict=True))
    in_turn = {name: source[name] for name in keep} | {"said": [list(labels) for labels in each]}
    named = {name: source[name] for name in keep} | {
        "said": [[{"who": who, "label": v} for who, v in zip(people, labels, strict=True) if v] or None for labels in each]
    }
    plain, entries = (read(data, Columns(text="text", key="key", annotators=("said",))) for data in (in_turn, named))
    assert plain.annotators == ("1", "2", "3", "4")
    assert entries.annotators == people
    for other in (plain, entries):
        assert (other.annotations == wide.annotations).all()
        assert (other.labels == wide.labels).all()
    number = datasets.Dataset.from_dict(
        {**{k: in_turn[k] for k in keep}, "said": [[["ham", "spam"].index(v) for v in row if v] for row in in_turn["said"]]},
        features=datasets.Features(
            {"text": datasets.Value("string"), "key": datasets.Value("string"),
             "said": datasets.List(datasets.ClassLabel(names=["ham", "spam"]))}
        ),
    )  # fmt: skip
    assert set(read(number, Columns(text="text", key="key", annotators=("said",))).names) <= {"ham", "spam"}


def test_with_a_label_of_its_own_a_row_keeps_it_and_differences_are_counted():
    source, true = annotated()
    source["label"] = ["spam" if i % 3 == 0 else label for i, label in enumerate(true)]
    found = mine(
        read(source, Columns("label", "text", key="key", annotators=tuple(RIGHT))), embedder="wordllama", settings=QUICK
    )
    told = found.table.to_pylist()
    assert [row["label"] for row in told] == source["label"]
    differ = sum(row["consensus"] not in (None, row["label"]) for row in told)
    assert found.facts["annotators, rows whose label is not the consensus"] == differ > 10


def test_without_annotators_the_columns_are_empty():
    found = mine(read(rows(80), Columns("label", "text", key="key")), embedder="dummy", settings=QUICK)
    for name in ("annotations", "agreement", "consensus", "consensus_quality", "ask_again_rank"):
        assert found.table[name].null_count == found.table.num_rows
    assert not any("annotators" in name for name in found.facts)


def test_a_label_that_nobody_knows_sets_its_row_apart_and_a_policy_fixes_the_names():
    source, _ = annotated(80)
    source["ann"][7] = "eggs"
    got: Rows = read(
        source, Columns(text="text", key="key", annotators=tuple(RIGHT), renamed={"ham": "benign"}), names=("benign", "spam")
    )
    assert got.rejected == ((7, "label 'eggs' of an annotator is none of benign, spam"),)
    assert got.names == ("benign", "spam")


@pytest.mark.parametrize(
    ("said", "columns", "match"),
    [
        ([["a"], ["b"], ["a"]], ("said", "text"), "a column for each annotator, or one of lists"),
        ([[{"who": "x"}], [], []], ("said",), "`who` and `label`"),
        ([[{"who": "x", "label": "a"}] * 2, [], []], ("said",), "'x' stands twice in row 0"),
        ([[["a"]], [], []], ("said",), "expected one label a row in 'annotator 1'"),
        (["a", "b", "a"], ("gone",), "expected the column 'gone'"),
    ],
)
def test_columns_of_another_form_are_refused(said, columns, match):
    with pytest.raises(DataError, match=match):
        read({"text": ["one", "two", "three"], "said": said}, Columns(text="text", annotators=columns))


def test_the_command_takes_annotators_from_a_file(tmp_path):
    source, _ = annotated(80)
    file = tmp_path / "rows.jsonl"
    lines = [
        {"text": text, "said": [{"who": who, "label": source[who][i]} for who in RIGHT if source[who][i]]}
        for i, text in enumerate(source["text"])
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    done = CliRunner().invoke(
        app,
        ["mine", str(file), "--annotators", "said", "--embedder", "dummy", "--plantings", "0", "--out", str(tmp_path / "out")],
    )
    assert done.exit_code == 0, done.output
    assert "4 annotators, Krippendorff's alpha" in done.output
    assert "Ask one more annotator about" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_order_of_rows_and_of_annotators_changes_no_consensus():
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 2, (50, 4))
    order, people = rng.permutation(50), rng.permutation(4)
    assert (crowd.vote(labels[order][:, people]) == crowd.vote(labels)[order]).all()
