"""Rows that go for good with what was made from them, and what changed between two versions."""

from __future__ import annotations

import os
import pathlib
import random
import runpy
from dataclasses import replace

import datasets
import pyarrow as pa
import pytest

from sparring.errors import UserError
from sparring.publishing import beside, diff, erase, push
from sparring.record import real, synthetic

HELP = runpy.run_path(str(pathlib.Path(__file__).with_name("helpers.py")))
REPO, rows, local, ids, table = (HELP[name] for name in ("REPO", "rows", "local", "ids", "table"))
ROOT = "rows.csv#train-1"  # a violating row: each round made one more row out of it


@pytest.fixture
def gone(hub):
    def erased(*asked: str, **options) -> erase.Erased:
        return erase.erase(list(asked), repo_id=REPO, endpoint=hub.url, **options)

    return erased


def test_a_row_goes_with_every_row_that_was_made_from_it(hub, written, gone, tmp_path):
    hub.push(written("r1", rounds=2))
    before = {row["id"]: row for row in table(hub.files, "data")}
    children = {id for id, row in before.items() if ROOT in row["root_ids"]}
    assert len(children) == 3
    found = gone(ROOT, why="asked for by its author")
    assert set(found.rows) == children
    assert found.version == 2
    assert set(ids(hub.files)) == before.keys() - children
    stones = {row["id"]: (row["what"], row["why"]) for row in table(hub.files, "tombstones")}
    assert stones == dict.fromkeys(children, ("erased", "asked for by its author"))
    assert sum(map(len, rows(hub.download(tmp_path / "there"), tmp_path / "c").values())) == 48 - 3
    assert "Gone since: 3 erased" in hub.files["README.md"].decode()


def test_it_says_what_old_tags_still_hold(hub, written, gone):
    hub.push(written("r0", rounds=1))
    hub.push(written("r1", rounds=2))
    found = gone(ROOT)
    assert found.remains == {"v1": 2, "policy-1.0-v1": 2, "v2": 3, "policy-1.0-v2": 3}
    assert any("earlier versions still hold rows of it: policy-1.0-v1 (2)" in line for line in found.lines())


def test_a_row_in_the_middle_takes_its_own_children_only(hub, written, gone):
    hub.push(written("r2", rounds=3))
    found = {row["id"]: row for row in table(hub.files, "data")}
    [middle] = [id for id, row in found.items() if row["parent_ids"] == [ROOT]]
    assert len(gone(middle).rows) == 3
    assert ROOT in ids(hub.files)


def test_what_was_erased_does_not_come_back_by_a_later_round(hub, written, gone):
    hub.push(written("r0", rounds=1))
    gone(ROOT)
    done = hub.push(written("r1", rounds=3))
    assert done.counts["left out, erased"] == 2 + 1 + 1, "the row, its child, and two generations that came later"
    held = table(hub.files, "data")
    assert not any(ROOT in [row["id"], *row["parent_ids"], *row["root_ids"]] for row in held)
    assert hub.push(written("again", rounds=3)).commit == done.commit


def test_only_the_shards_that_held_it_are_written_again(hub, written, gone):
    hub.push(written("r0", rounds=1))
    before = {path: data for path, data in hub.files.items() if path.startswith("data")}
    gone(ROOT)
    after = {path: data for path, data in hub.files.items() if path.startswith("data")}
    assert {path for path in before if before[path] != after[path]} == {
        "data/train-spam.data-00000.parquet", "data/train-spam.r00-00000.parquet",
    }  # fmt: skip


def test_what_people_said_of_it_goes_too(hub, written, gone):
    said = [
        {"id": id, "label_name": "spam", "who": "Ada", "when": "2026-01-01", "policy_version": "1"}
        for id in (ROOT, "rows.csv#train-0")
    ]
    hub.push(written(given=said))
    gone(ROOT)
    assert {row["id"] for row in table(hub.files, "labels")} == {"rows.csv#train-0"}
    assert "People labelled 1 of 23 rows" in hub.files["README.md"].decode()


def test_an_id_that_is_not_there_is_said_and_barred(hub, written, gone):
    hub.push(written("r0", ("train",)))
    found = gone("rows.csv#test-1")
    assert (found.rows, found.unknown) == ((), ("rows.csv#test-1",))
    done = hub.push(written("all"))
    assert done.counts["left out, erased"] == 1
    assert "rows.csv#test-1" not in ids(hub.files)


@pytest.mark.parametrize("fault", [429, "reset", "lost"], ids=str)
@pytest.mark.parametrize("kind", ["info", "download", "upload", "commit", "tag"])
def test_erasing_survives_what_pushing_survives(hub, written, gone, kind, fault, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.utils._http.time, "sleep", lambda seconds: None)
    hub.push(written("r0", rounds=1, n=2))
    hub.answers[kind] = [fault]
    found = gone(ROOT)
    assert len(found.rows) == 2
    assert hub.commits == 2
    assert len(ids(hub.files)) == len({*ids(hub.files)}) == 12 - 2
    assert found.remains == {"v1": 2, "policy-1.0-v1": 2}
    assert gone(ROOT).version == found.version, "a second time changes nothing"


def test_from_a_local_folder(hub, written, tmp_path):
    folder = written(rounds=1)
    found = erase.erase([ROOT], folder=folder)
    assert len(found.rows) == 2
    assert len(ids(local(folder))) == 34
    push.checked(folder)
    assert sum(map(len, rows(folder, tmp_path / "c").values())) == 34
    with pytest.raises(UserError, match="expected one place to erase from"):
        erase.erase([ROOT])


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_kill_while_it_changes_a_local_folder_loses_nothing(written, tmp_path, monkeypatch, renames):
    folder, done = written(rounds=1), []

    def replace(source, target):
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        rename(source, target)

    rename = os.replace
    with monkeypatch.context() as killed:
        killed.setattr(erase.os, "replace", replace)
        killed.setattr(erase.shutil, "rmtree", lambda path, **options: None)  # nothing was tidied either
        if renames < 2:
            with pytest.raises(KeyboardInterrupt):
                erase.erase([ROOT], folder=folder)
        else:
            erase.erase([ROOT], folder=folder)
    erase.erase([ROOT], folder=folder)
    push.checked(folder)
    assert len(ids(local(folder))) == 34
    assert [p.name for p in folder.parent.iterdir()] == [folder.name], "no copy of an erased row is left"


def test_a_chain_of_any_length_is_followed(written, rules):
    """No row but the first names the root."""
    shared = {"policy": rules.name, "policy_version": rules.version, "split": "train", "label_name": "spam"}
    chain = [real(source="x", key="0", text="0", **shared)]
    for i in range(40):
        chain.append(synthetic(work=i, text=f"{i + 1}", parent_ids=(chain[-1].id,), round=i % 3, **shared))
    other = [real(source="y", key=str(i), text=f"other {i}", **shared) for i in range(3)]
    folder = written(records=[*reversed(chain), *other])
    assert len(erase.erase(["x#0"], folder=folder).rows) == 41
    assert set(ids(local(folder))) == {r.id for r in other}


def test_diff_of_tags_and_folders(hub, written, gone, tmp_path):
    hub.push(written("r0", rounds=1))
    hub.push(written("r1", rounds=2, labels={"test-0": "spam"}))
    gone(ROOT)
    found = diff.between("v1", "v2", repo=REPO, endpoint=hub.url)
    assert found.rows == (36, 24 + 13 * 2)
    assert len(found.added) == 14, "a second round, and two rows made from the one that violates now"
    assert [(r.id, r.before, r.after) for r in found.relabelled] == [("rows.csv#test-0", "benign", "spam")]
    assert (found.gone, found.changed) == ({}, ())
    last = diff.between(f"{REPO}@v2", f"{REPO}@main", endpoint=hub.url)
    assert set(last.gone.values()) == {"erased"}
    assert last.lines()[1] == "- 3 rows gone: 3 erased"
    mixed = diff.between(str(tmp_path / "r1"), f"{REPO}@v2", endpoint=hub.url)
    assert mixed.lines()[1:] == ["nothing changed"]
    assert "~ 1 labels changed: 1 benign -> spam" in found.lines()
    assert f"- {ROOT}  erased" in last.lines(ids=True)


def test_diff_reads_no_text(hub, written, rules):
    shared = {"policy": rules.name, "policy_version": rules.version, "split": "train", "label_name": "spam"}
    noise = [real(source="x", key=str(i), text=random.Random(i).randbytes(500).hex(), **shared) for i in range(2000)]
    hub.push(written("a", records=noise[:1000]))
    hub.push(written("b", records=noise))
    size = len(hub.files["data/train-spam.data-00000.parquet"])
    hub.server.sent = 0
    assert len(diff.between("v1", "v2", repo=REPO, endpoint=hub.url).added) == 1000
    assert hub.server.sent < size / 2


def test_a_side_that_is_nothing(hub, written):
    with pytest.raises(UserError, match=r"v1: expected a dataset folder, or a revision\. Fix: `--repo ORG/NAME`"):
        diff.between("v1", "v2")
    hub.make(private=True)
    with pytest.raises(UserError, match=r"expected a dataset by Sparring, it holds no sparring\.json"):
        diff.between("main", "main", repo=REPO, endpoint=hub.url)


def beside_of(records) -> dict[str, pa.Table]:
    """Tables that hold something for each row."""
    scores = [{"id": r.id, "name": "violation", "value": 0.25, "by": "net", "round": r.round or 0} for r in records]
    prints = [{"id": r.id, "phash": "00ff", "embedding": [0.6, 0.8], "embedder": "pixels-16"} for r in records]
    return {
        name: pa.Table.from_pylist(rows, schema=beside.TABLES[name])
        for name, rows in (("scores", scores), ("fingerprints", prints))
    }


def test_scores_and_fingerprints_are_pushed_once_and_go_with_their_rows(hub, written, gone, rows_of, tmp_path):
    first, both = rows_of(rounds=1), rows_of(rounds=2)
    hub.push(written("r0", records=first, sides=beside_of(first)))
    done = hub.push(written("r1", records=both, sides=beside_of(both)))
    assert done.version == 2
    for name in beside.TABLES:
        assert sorted(row["id"] for row in table(hub.files, name)) == sorted(r.id for r in both), name
        assert f"{name}/00002.parquet" in hub.files
    again = hub.push(written("r1 again", records=both, sides=beside_of(both)))
    assert (again.version, again.commit) == (2, done.commit)

    went = set(gone(ROOT).rows)
    assert len(went) == 3
    for name in beside.TABLES:
        assert {row["id"] for row in table(hub.files, name)} == {r.id for r in both} - went, name
    hub.push(written("r1 anew", records=both, sides=beside_of(both)))
    for name in beside.TABLES:
        assert {row["id"] for row in table(hub.files, name)} == {r.id for r in both} - went, "it came back by a later push"
    loaded = datasets.load_dataset(str(hub.download(tmp_path / "there")), "fingerprints", cache_dir=str(tmp_path / "c"))
    assert loaded["train"][0]["embedding"] == pytest.approx([0.6, 0.8])


def test_what_the_scan_leaves_out_has_no_fingerprint_either(hub, written, rows_of):
    records = rows_of()
    secret = replace(records[1], text="my token ghp_" + "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8")
    records[1] = secret
    hub.push(written(records=records, sides=beside_of(records)), options=push.Options(leave_out=True))
    assert secret.id not in ids(hub.files)
    for name in beside.TABLES:
        found = {row["id"] for row in table(hub.files, name)}
        assert found == {r.id for r in records} - {secret.id}, name


def test_erasing_from_a_local_folder_reaches_the_tables_beside_the_rows(written, rows_of):
    records = rows_of(rounds=1)
    folder = written(records=records, sides=beside_of(records))
    went = set(erase.erase([ROOT], folder=folder).rows)
    for name in beside.TABLES:
        assert {row["id"] for row in table(local(folder), name)} == {r.id for r in records} - went, name
