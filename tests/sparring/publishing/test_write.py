"""A dataset folder as other tools read it: `datasets`, streaming or not, and Croissant."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import runpy
import subprocess
import sys
from collections import Counter

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sparring import record
from sparring.errors import DataError
from sparring.publishing import card, manifest, shards, write
from sparring.record import real, synthetic, to_table

HELP = runpy.run_path(str(pathlib.Path(__file__).with_name("helpers.py")))
rows, local = HELP["rows"], HELP["local"]


def header(folder: pathlib.Path) -> dict:
    return yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])


def test_it_loads_and_streams_like_any_dataset(written, rows_of, tmp_path):
    folder = written(rounds=2)
    wanted = {r.id: r for r in rows_of(rounds=2)}
    found = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "c"))
    assert {row["id"]: row["text"] for part in found.values() for row in part} == {id: r.text for id, r in wanted.items()}
    assert found["train"].features["label"].names == ["benign", "spam"]
    streamed = datasets.load_dataset(str(folder), split="test", streaming=True)
    assert list(streamed) == found["test"].to_list()
    assert streamed.features == found["test"].features


READ = """
import datasets
name = "ada/spam"
for tag in ("v1", "v2"):
    print(sum(map(len, datasets.load_dataset(name, revision=tag).values())))
print(len(list(datasets.load_dataset(name, revision="v2", split="train", streaming=True))))
print(len(datasets.load_dataset(name, "tombstones")["train"]))
"""


def test_a_repository_loads_by_name_at_a_tag(hub, written, tmp_path):
    """As a person reads it, in a process of its own: `load_dataset` by name and revision, streaming too."""
    hub.push(written("r0"))
    hub.push(written("r1", rounds=1))
    hub.push(written("r1-less", rounds=1, n=4))
    told = {"HF_ENDPOINT": hub.url, "HF_TOKEN": HELP["TOKEN"], "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
    told |= {"HF_HUB_DISABLE_XET": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run([sys.executable, "-c", READ], env=os.environ | told, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["24", "36", "9", "12"], done.stderr


def test_the_header_tells_what_is_there(written):
    folder = written(rounds=1)
    found = header(folder)
    assert [file["split"] for file in found["configs"][0]["data_files"]] == list(record.SPLITS)
    assert {s["name"]: s["num_examples"] for s in found["dataset_info"]["splits"]} == dict.fromkeys(record.SPLITS, 9)
    assert found["dataset_info"]["download_size"] == sum(p.stat().st_size for p in folder.rglob("*.parquet"))
    assert found["extra_gated_fields"]["Organisation"] == "text"
    assert card.TAG in found["tags"]
    assert found["size_categories"] == ["n<1K"]


def test_a_person_reads_warning_counts_makers_and_how_to_have_a_row_removed(written):
    folder = written(rounds=1, model=("tiny-lm", None), facts={"round": 0, "valid ASR": [0.5, 0.4, 0.6, 100]})
    text = (folder / "README.md").read_text(encoding="utf-8")
    for wanted in (
        "**Content warning.**", "| train | 9 | 3 | 6 | 3 |", "- `leet`: 12 violating rows", "| tiny-lm | 12 | not stated |",
        "| spam | valid ASR | 0.500 [0.400, 0.600], n = 100 |", "People labelled 0 of 36 rows (0.0%)",
        "sparring publish erase ID",
        "| `spam.r00` | 12 | 12 | 1.0 |", "absence of a row is no evidence",
    ):  # fmt: skip
        assert wanted in text, wanted


def test_croissant_is_valid_and_reads_the_rows(written, monkeypatch, tmp_path):
    mlcroissant = pytest.importorskip("mlcroissant")
    folder = written(rounds=1)
    found = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert not found.metadata.ctx.issues.errors
    assert not found.metadata.ctx.issues.warnings - {w for w in found.metadata.ctx.issues.warnings if "recommended" in w}
    train = list(found.records("train"))
    wanted = [row for path, data in sorted(local(folder).items()) if path.startswith("data/train")
              for row in pq.read_table(io.BytesIO(data)).to_pylist()]  # fmt: skip
    assert len(train) == len(wanted) == 9
    texts = {row["train/id"].decode(): row["train/text"].decode() for row in train}
    assert texts == {row["id"]: row["text"] for row in wanted}
    assert {row["train/label"] for row in train} == {0, 1}


def test_croissant_names_the_bytes_of_each_file(written):
    folder = written(rounds=1)
    body = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    files = {f["contentUrl"]: f["sha256"] for f in body["distribution"] if f["@type"] == "cr:FileObject"}
    assert files == {p: hashlib.sha256(d).hexdigest() for p, d in local(folder).items() if p.endswith(".parquet")}


def test_the_same_rows_are_the_same_bytes_and_a_later_round_leaves_earlier_shards_alone(written):
    first, again, later = written("a", rounds=1), written("b", rounds=1), written("c", rounds=3)
    assert local(first) == local(again)
    known, grown = local(first), local(later)
    assert {p: grown[p] for p in known if p.endswith(".parquet")} == {p: d for p, d in known.items() if p.endswith(".parquet")}


def test_images_go_through(written, rules, tmp_path):
    from PIL import Image

    stamps = []
    for i in range(4):
        out = io.BytesIO()
        Image.new("RGB", (8, 8), (i * 20, 0, 0)).save(out, "PNG")
        shared = {"policy": rules.name, "policy_version": rules.version, "split": "test", "label_name": "benign"}
        stamps.append(real(source="i", key=str(i), image=out.getvalue(), **shared))
    folder = written(records=stamps)
    found = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "c"))["test"]
    assert [row["image"].getpixel((0, 0))[0] for row in found] == [0, 20, 40, 60]
    mlcroissant = pytest.importorskip("mlcroissant")
    read = list(mlcroissant.Dataset(jsonld=folder / "croissant.json").records("test"))
    assert [row["test/image"].getpixel((0, 0))[0] for row in read] == [0, 20, 40, 60]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"split": "dev"}, "expected each row in a split"),
        ({"label_name": "hate"}, "expected labels out of benign, spam; got hate"),
    ],
)
def test_rows_that_cannot_be(written, rules, change, said):
    shared = {"policy": rules.name, "policy_version": rules.version, "split": "test", "label_name": "benign"} | change
    row = real(source="s", key="1", text="x", **shared)
    table = to_table([row], ("benign", "spam", "hate"))
    with pytest.raises(DataError, match=said):
        write.stream(pathlib.Path(written()).parent / "bad", [table], rules, name="x", facts={})


def test_a_label_number_of_another_list_is_set_right(rules, tmp_path):
    shared = {"policy": rules.name, "policy_version": rules.version, "split": "test"}
    table = to_table([real(source="s", key="1", text="x", label_name="spam", **shared)], ("benign", "hate", "spam"))
    write.stream(tmp_path / "d", [table], rules, name="x", facts={})
    assert rows(tmp_path / "d", tmp_path / "c")["test"][0]["label"] == 1


@given(st.data())
def test_every_row_lands_once_in_its_shard_whatever_the_sizes(data):
    """Row groups and shards of a few rows: nothing is lost, doubled or out of order, and the counts are right."""
    import tempfile

    kinds = st.tuples(st.sampled_from(record.SPLITS), st.sampled_from([None, 0, 1, 12]), st.sampled_from(["benign", "spam"]))
    drawn = data.draw(st.lists(kinds, max_size=60))
    shared = {"policy": "p", "policy_version": "1"}
    made = [
        real(source="s", key=str(i), text=f"{i}", split=split, label_name=label, **shared)
        if number is None
        else synthetic(work=i, text=f"{i}", split=split, round=number, label_name=label, **shared)
        for i, (split, number, label) in enumerate(drawn)
    ]
    size = data.draw(st.integers(1, 20))
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "GROUP_ROWS", data.draw(st.integers(1, 9)))
        patch.setattr(shards, "SHARD_BYTES", data.draw(st.integers(1, 9000)))
        patch.setattr(shards, "BUFFER_BYTES", data.draw(st.integers(1, 90_000)))
        folder = pathlib.Path(place)
        writer = shards.Writer(folder, "job", ("benign", "spam"), record.SCHEMA)
        for start in range(0, len(made), size):
            writer.add(to_table(made[start : start + size], ("benign", "spam")))
        found = writer.close()
        here = {str(p.relative_to(folder)) for p in folder.rglob("*.parquet")}
        assert here == found.keys()
        got: dict[tuple[str, str], list[str]] = {}
        for path, shard in found.items():
            assert manifest.SHARD.fullmatch(path)
            table = pq.read_table(folder / path)
            assert (len(table), shards.sha256(folder / path)) == (shard.rows, shard.sha256)
            assert Counter(table["label_name"].to_pylist()) == Counter({c.label: c.rows for c in shard.counts})
            got.setdefault((shard.split, shard.part), []).extend(table["id"].to_pylist())
    wanted: dict[tuple[str, str], list[str]] = {}
    for r in made:
        part = "job.data" if r.round is None else f"job.r{r.round:02d}"
        wanted.setdefault((r.split, part), []).append(r.id)
    assert got == wanted


def test_memory_is_bounded_by_the_buffer(rules, tmp_path):
    """Rows that are added leave again: what waits is no more than the buffer and a row group."""
    shared = {"policy": rules.name, "policy_version": rules.version, "split": "test", "label_name": "benign"}
    table = to_table([real(source="s", key=str(i), text="x" * 500, **shared) for i in range(1000)], rules.labels)
    before = pa.total_allocated_bytes()
    most = 0

    def tables():
        nonlocal most
        for _ in range(200):
            most = max(most, pa.total_allocated_bytes() - before)
            yield table

    write.stream(tmp_path / "d", tables(), rules, name="x", facts={})
    assert most < 4 * shards.GROUP_ROWS * table.nbytes / len(table)
