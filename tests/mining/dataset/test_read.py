from __future__ import annotations

import json

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.dataset import sources
from mining.dataset.read import Columns, Rows, read
from sparring.errors import DataError

TEXTS = ["win a prize", "lunch at noon?", "free cash now", "see you at home", "call me later"]
LABELS = ["spam", "ham", "spam", "ham", "ham"]
LABELLED = Columns(labels="label")


def given_rows(**more) -> dict:
    return {"text": list(TEXTS), "label": list(LABELS), **more}


def by_text(rows: Rows) -> dict[str, tuple[str, str]]:
    return {text: (id, rows.names[label]) for text, id, label in zip(rows.texts, rows.ids, rows.labels, strict=True)}


def test_every_format_gives_the_same_rows(tmp_path):
    data = datasets.Dataset.from_dict(given_rows())
    data.to_parquet(tmp_path / "rows.parquet")
    data.to_csv(tmp_path / "rows.csv")
    data.to_json(tmp_path / "rows.jsonl")
    (tmp_path / "rows.tsv").write_text("text\tlabel\n" + "".join(f"{t}\t{x}\n" for t, x in zip(TEXTS, LABELS, strict=True)))
    (tmp_path / "folder").mkdir()
    data.to_parquet(tmp_path / "folder" / "train.parquet")
    expected = by_text(read(given_rows(), LABELLED))
    assert {text: label for text, (_, label) in expected.items()} == dict(zip(TEXTS, LABELS, strict=True))
    sources = [data, *(tmp_path / f"rows.{kind}" for kind in ("parquet", "csv", "jsonl", "tsv")), tmp_path / "folder"]
    for source in sources:
        assert by_text(read(source, LABELLED)) == expected, source


@given(st.permutations(range(5)))
def test_the_order_of_the_source_changes_nothing_but_the_numbers(order):
    straight = read(given_rows(key=list("abcde")), Columns(labels="label", text="text"))
    turned = read({name: [column[i] for i in order] for name, column in given_rows().items()}, LABELLED)
    assert turned.ids == straight.ids == tuple(sorted(straight.ids))
    assert list(turned.texts) == list(straight.texts)
    assert turned.labels.tolist() == straight.labels.tolist()
    assert [TEXTS[order[i]] for i in turned.number] == list(turned.texts)


def test_equal_texts_get_ids_of_their_own_by_label_whatever_their_order():
    one = read({"text": ["a b", "a b", "a b"], "label": ["x", "y", "x"]}, LABELLED)
    other = read({"text": ["a b", "a b", "a b"], "label": ["y", "x", "x"]}, LABELLED)
    assert len(set(one.ids)) == 3
    assert dict(zip(one.ids, one.labels.tolist(), strict=True)) == dict(zip(other.ids, other.labels.tolist(), strict=True))


def test_labels_keep_a_class_labels_order_a_policys_or_the_alphabets():
    feature = datasets.ClassLabel(names=["ham", "spam", "never"])
    data = datasets.Dataset.from_dict(given_rows()).cast_column("label", feature)
    assert read(data, LABELLED).names == ("ham", "spam", "never")
    assert read(given_rows(), LABELLED).names == ("ham", "spam")
    assert read(given_rows(), LABELLED, names=("spam", "ham")).names == ("spam", "ham")
    numbers = read({"text": TEXTS, "label": [2, 10, 2, 10, 10]}, LABELLED)
    assert numbers.names == ("2", "10"), "as numbers, not as text"
    assert numbers.benign is None
    assert read(given_rows(), LABELLED).benign == 0
    assert read(given_rows(), LABELLED, benign="spam").benign == 1


def test_faulty_rows_are_set_apart_and_unlabelled_ones_kept():
    rows = read(
        {"text": ["fine", None, "  ", "x" * 100_001, "strange", "none"], "label": ["ham", "ham", "ham", "ham", "odd", None]},
        LABELLED, names=("ham", "spam"),
    )  # fmt: skip
    assert dict(rows.rejected) == {
        1: "empty", 2: "empty", 3: "longer than 100000 characters", 4: "label 'odd' is none of ham, spam",
    }  # fmt: skip
    assert dict(zip(rows.texts, rows.labels.tolist(), strict=True)) == {"fine": 0, "none": -1}


def test_what_the_user_has_comes_along_in_the_order_of_the_ids():
    vectors = np.eye(5, dtype=np.float32)
    source = given_rows(p=[[0.1 * i, 1 - 0.1 * i] for i in range(5)], who=list("aabbc"), lang=["en", "de", "en", "fr", "en"])
    columns = Columns(labels="label", text="text", scores="p", lineage="who", attributes=("lang",))
    rows = read(source, columns, vectors=vectors)
    assert rows.vectors.argmax(1).tolist() == rows.number.tolist()
    assert rows.scores[:, 0] == pytest.approx(0.1 * rows.number, abs=1e-6)
    assert [source["lang"][i] for i in rows.number] == rows.attributes["lang"].tolist()
    same = [source["who"][i] for i in rows.number]
    assert [[a == b for b in rows.lineage] for a in rows.lineage] == [[a == b for b in same] for a in same]
    alone = read(given_rows(who=[None, None, "a", "a", None]), Columns("label", "text", lineage="who"))
    assert len(set(alone.lineage.tolist())) == 4, "a row without an origin shares none"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": Columns(labels="nosuch")}, "expected the column 'nosuch'; found text, label"),
        ({"source": {"label": [1, 2]}}, "expected a column of texts or images"),
        ({"source": {"text": [None, ""], "label": ["a", "b"]}}, "expected usable rows, found none of 2"),
        ({"benign": "nosuch"}, "expected the harmless label out of ham, spam; got 'nosuch'"),
        ({"vectors": np.zeros((4, 3))}, r"expected vectors of shape \(5, d\)"),
        ({"source": "nosuch.parquet"}, "expected a file, a folder or a data set on the hub"),
        ({"columns": Columns(labels="label", text="label")}, "expected labels in a column of their own"),
        ({"source": given_rows(v=[[1.0]] * 5), "columns": Columns("label", "v")}, "expected texts in the column 'v'"),
        ({"source": given_rows(label=[["ham"]] * 5)}, "expected one label a row in 'label'; got list"),
        (
            {"source": {"text": [f"a {i}" for i in range(40)], "label": [f"b {i}" for i in range(40)]}},
            "found 40 different values",
        ),
        ({"source": given_rows(key=[None, "a", "b", "c", "d"]), "columns": Columns(labels="label", key="key")}, "1 have none"),
        ({"names": ("benign", "spam")}, r"got 'ham' in 3 of 5 labelled rows. Fix: --rename ham=benign"),
        ({"vectors": np.zeros((5, 0))}, r"expected vectors of shape \(5, d\)"),
        ({"vectors": np.full((5, 2), "0.5")}, "expected vectors as real numbers; got <U3"),
        ({"source": given_rows(text=["lone \ud800", *TEXTS[1:]])}, "expected text that is valid Unicode"),
        ({"columns": Columns(labels="label", key="label")}, "expected keys that are unique; 'ham' stands 3 times"),
    ],
)
def test_what_is_wrong_with_the_whole_is_said(change, said):
    settings = {"source": given_rows(), "columns": LABELLED, **change}
    with pytest.raises(DataError, match=said):
        read(settings.pop("source"), settings.pop("columns"), **settings)


def test_a_split_is_named_where_it_must_be(tmp_path):
    for name in ("validation", "test"):
        datasets.Dataset.from_dict(given_rows()).to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match="expected a split to be named"):
        read(tmp_path, LABELLED)
    assert len(read(tmp_path, LABELLED, split="test")) == 5
    with pytest.raises(DataError, match="expected the split 'nosuch'"):
        read(tmp_path, LABELLED, split="nosuch")
    (tmp_path / "rows.xlsx").write_bytes(json.dumps({}).encode())
    with pytest.raises(DataError, match="expected a file that ends in"):
        read(tmp_path / "rows.xlsx", LABELLED)


def test_labels_as_people_have_them_are_read_as_what_they_mean():
    nan = float("nan")
    assert read({"text": TEXTS, "label": [0.0, 1.0, nan, 1.0, 0.0]}, LABELLED).names == ("0", "1"), "integers with gaps"
    padded = read({"text": TEXTS, "label": ["spam ", "ham", "spam", " ham", "  "]}, LABELLED)
    assert padded.names == ("ham", "spam")
    assert sorted(padded.labels.tolist()) == [-1, 0, 0, 1, 1]
    renamed = Columns(labels="label", renamed={"ham": "benign"})
    assert read(given_rows(), renamed, names=("benign", "spam")).labels.tolist().count(0) == 3
    feature = datasets.ClassLabel(names=["ham", "spam"])
    data = datasets.Dataset.from_dict(given_rows()).cast_column("label", feature)
    assert read(data, renamed).names == ("benign", "spam")
    assert set(read({"text": [1, 22, 333], "label": ["a", "b", "a"]}, Columns("label", "text")).texts) == {"1", "22", "333"}


def test_words_that_mean_nothing_to_a_parser_are_words_in_a_csv(tmp_path):
    texts, labels = ["None", "null", "NA", "nan", "fine"], ["None", "spam", "None", "spam", ""]
    lines = [f"{t};{x}" for t, x in zip(texts, labels, strict=True)]
    (tmp_path / "rows.CSV").write_text("\n".join(["text;label", *lines]) + "\n", encoding="utf-8-sig")
    rows = read(tmp_path / "rows.CSV", LABELLED)
    assert set(rows.texts) == set(texts)
    assert rows.names == ("None", "spam")
    assert not rows.rejected


def test_what_save_to_disk_wrote_is_read(tmp_path):
    one = datasets.Dataset.from_dict(given_rows())
    datasets.DatasetDict(train=one, test=one.select([0, 1])).save_to_disk(tmp_path / "both")
    one.save_to_disk(tmp_path / "one")
    assert len(read(tmp_path / "both", LABELLED)) == len(read(tmp_path / "one", LABELLED)) == 5
    assert len(read(tmp_path / "both", LABELLED, split="test")) == 2
    with pytest.raises(DataError, match="expected splits, to read 'test' of"):
        read(tmp_path / "one", LABELLED, split="test")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("a.csv", "text,label\ncaf\xe9,ham\n".encode("latin-1"), "expected text in UTF-8; .*Fix: iconv"),
        ("a.csv", b"text,label\n", "expected rows, found none"),
        ("a.csv", b"", "found an empty file"),
        ("a.csv", b"text,label\na,b\na,b,c\n", "Expected 2 fields in line 3, saw 3"),
        ("a.json", b'{"text": ["a"', "expected rows that can be read"),
        ("a.jsonl", b'{"text": "a \\ud800", "label": "b"}\n', "surrogate"),
        ("a.parquet", b"PAR1PAR1", "expected rows that can be read"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_in_one_line(tmp_path, capfd, file, content, said):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(DataError, match=said) as error:
        read(tmp_path / file, LABELLED)
    assert "\n" not in str(error.value)
    assert str(tmp_path / file) in str(error.value)
    assert "error" not in capfd.readouterr().err, "said once"


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_long_rows_are_read_a_few_at_a_time_and_all_of_them(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(sources, "BYTES", 20_000)
    texts = [f"{i:03} " + "long " * 1000 for i in range(60)]
    data = datasets.Dataset.from_dict({"text": texts, "label": ["ham", "spam"] * 30})
    getattr(data, f"to_{kind}")(tmp_path / f"rows.{kind}")
    opened, _ = sources.opened(tmp_path / f"rows.{kind}", None)
    parts = [batch["text"] for batch in sources.batches(opened, tmp_path / f"rows.{kind}", ["text"])]
    assert max(map(len, parts)) <= 5
    assert [text for part in parts for text in part] == texts
