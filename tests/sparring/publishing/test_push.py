"""The real client against a small hub on loopback (hub_server.py)."""

from __future__ import annotations

import pathlib
import runpy

import datasets
import pyarrow.parquet as pq
import pytest

from sparring import record
from sparring.errors import DataError, SparringError, UserError
from sparring.publishing import manifest, remote

HELP = runpy.run_path(str(pathlib.Path(__file__).with_name("helpers.py")))
REPO, TOKEN, rows, local, ids, table = (HELP[name] for name in ("REPO", "TOKEN", "rows", "local", "ids", "table"))


def plain(files: dict[str, bytes]) -> dict[str, bytes]:
    """Without what tells the version of the repository."""
    return {path: data for path, data in files.items() if path.endswith(".parquet")}


def test_what_is_pushed_reads_back_row_by_row(hub, written, tmp_path):
    folder = written(rounds=2)
    done = hub.push(folder)
    assert hub.commits == 1
    assert (done.repo_id, done.url, done.version) == (REPO, f"{hub.url}/datasets/{REPO}", 1)
    assert done.commit == hub.repo.branches["main"]
    assert TOKEN not in repr(done)
    assert set(done.files) == set(hub.files)
    assert plain(hub.files) == plain(local(folder))
    found = rows(hub.download(tmp_path / "there"), tmp_path / "cache-a")
    assert set(found) == set(record.SPLITS)
    assert found == rows(folder, tmp_path / "cache-b")


def test_a_version_is_tagged_by_number_and_by_policy(hub, written):
    first = hub.push(written())
    again = hub.push(written("more", rounds=1))
    assert hub.repo.tags == {
        "v1": first.commit, "policy-1.0-v1": first.commit, "v2": again.commit, "policy-1.0-v2": again.commit,
    }  # fmt: skip
    assert set(again.tags) == {"v2", "policy-1.0-v2"}
    assert again.others == {"v1": first.commit, "policy-1.0-v1": first.commit}


def test_private_is_the_default_and_is_really_sent(hub, written):
    hub.push(written())
    [(_, created)] = [r for r in hub.requests if r[0] == "create"]
    assert (created["visibility"], created["type"]) == ("private", "dataset")
    assert hub.repo.private
    assert not hub.repo.gated


def test_a_public_dataset_is_private_until_the_gate_stands_and_the_rows_are_there(hub, written):
    hub.push(written(), private=False, confirmed=REPO)
    kinds = [(kind, body) for kind, body in hub.requests if kind in ("create", "settings", "upload", "commit")]
    [created, gate, *_, opened] = kinds
    assert created[1]["visibility"] == "private"
    assert gate == ("settings", {"gated": "manual"})
    assert opened == ("settings", {"visibility": "public"})
    assert not hub.repo.private
    assert hub.repo.gated == "manual"


@pytest.mark.parametrize("said", [None, "", "spam", "ada/Spam", "yes"])
def test_public_needs_the_name_again(hub, written, said):
    with pytest.raises(UserError, match=r"expected a confirmation.*--confirm ORG/NAME"):
        hub.push(written(), private=False, confirmed=said)
    assert hub.requests == []


def test_rounds_append_and_leave_what_stands_there(hub, written):
    hub.push(written("r0", rounds=1))
    before = plain(hub.files)
    done = hub.push(written("r1", rounds=2))
    assert {path: hub.files[path] for path in before} == before, "no shard of an earlier round was touched"
    assert done.counts["added"] == 12
    assert (done.counts["withdrawn"], done.counts["relabelled"]) == (0, 0)
    assert len(ids(hub.files)) == len({*ids(hub.files)}) == 24 + 24
    hub.push(written("r0-again", rounds=1))
    assert len(ids(hub.files)) == 48, "an earlier round pushed again takes no later one away"


def test_jobs_share_a_repository_and_a_row_that_both_have_stands_once(hub, written, tmp_path):
    hub.push(written("one", rounds=1))
    done = hub.push(written("two", rounds=1, job="other", note=""))
    assert done.counts == {"rows": 36, "added": 0, "withdrawn": 0, "relabelled": 0, "left out, there already": 36}
    done = hub.push(written("three", rounds=1, job="third", note="new"))
    assert done.counts["added"] == 36
    assert len(ids(hub.files)) == len({*ids(hub.files)}) == 72
    assert sum(map(len, rows(hub.download(tmp_path / "there"), tmp_path / "c").values())) == 72


def test_only_what_is_needed_of_the_other_parts_is_read(hub, written, rules, rows_of):
    """To see which ids they hold, not their texts."""
    long = [
        record.real(source="big.csv", key=str(i), text=f"{i} " + "".join(chr(97 + (i * k) % 26) for k in range(1, 1500)),
                    label_name="benign", policy=rules.name, policy_version=rules.version, split="train")
        for i in range(3000)
    ]  # fmt: skip
    hub.push(written("big", records=long, job="big"))
    size = len(hub.files["data/train-big.data-00000.parquet"])
    hub.server.sent = 0
    hub.push(written("small"))
    assert hub.server.sent < size / 2 + 2e6


def test_a_smaller_push_leaves_no_stale_shard_behind(hub, written, tmp_path):
    hub.push(written(rounds=1))
    hub.repo.add("main", hub.repo.files | {"data/notes.txt": b"mine"}, "a person's file")
    smaller = written("smaller", ("train", "test"), rounds=1, n=4)
    done = hub.push(smaller)
    assert hub.commits == 3, "the first push, the person's file, one commit for new, changed and deleted files"
    found = hub.files
    assert found.pop("data/notes.txt") == b"mine"
    assert {p: d for p, d in plain(found).items() if p.startswith("data")} == plain(local(smaller))
    there = hub.download(tmp_path / "there")
    assert rows(there, tmp_path / "a") == rows(smaller, tmp_path / "b")
    gone = datasets.load_dataset(str(there), "tombstones", cache_dir=str(tmp_path / "a"))["train"].to_list()
    assert len(gone) == done.counts["withdrawn"] == 36 - 12
    assert {row["what"] for row in gone} == {"withdrawn"}
    assert "Gone since: 24 withdrawn" in hub.files["README.md"].decode()


def test_a_row_that_was_withdrawn_may_come_back(hub, written):
    hub.push(written())
    hub.push(written("smaller", n=4))
    done = hub.push(written("again"))
    assert done.counts["added"] == 8
    assert [row["what"] for row in table(hub.files, "tombstones")] == ["withdrawn"] * 8 + ["restored"] * 8
    assert "Gone since" not in hub.files["README.md"].decode()
    assert len(ids(hub.files)) == 24


def test_a_relabelled_row_keeps_its_id_and_both_labels_stand(hub, written):
    hub.push(written())
    done = hub.push(written("again", labels={"train-0": "spam"}))
    assert done.counts["relabelled"] == 1
    [row] = [r for r in table(hub.files, "data") if r["id"] == "rows.csv#train-0"]
    assert (row["label_name"], row["label"]) == ("spam", 1)
    versions = [(r["id"], r["label_name"], r["who"]) for r in table(hub.files, "labels")]
    assert versions == [("rows.csv#train-0", "benign", "origin"), ("rows.csv#train-0", "spam", "push")]
    hub.push(written("back"))
    assert [r["label_name"] for r in table(hub.files, "labels")] == ["benign", "spam"] or len(table(hub.files, "labels")) == 3


def test_other_content_under_an_id_is_refused(hub, written, rows_of):
    from dataclasses import replace

    hub.push(written())
    changed = [replace(r, text="other") if r.id == "rows.csv#test-3" else r for r in rows_of()]
    with pytest.raises(DataError, match=r"expected each id to keep its content for ever; 1 have another \(rows.csv#test-3\)"):
        hub.push(written("changed", records=changed))
    assert hub.commits == 1


def test_what_people_said_stands_in_the_table_under_a_pseudonym(hub, written):
    said = {"id": "rows.csv#train-0", "label_name": "spam", "who": "Ada Lovelace", "when": "2026-01-01", "policy_version": "1"}
    hub.push(written(given=[said]))
    [first, second] = table(hub.files, "labels")
    assert (first["label_name"], first["who"], second["label_name"]) == ("benign", "origin", "spam")
    assert second["who"].startswith("person-")
    assert all(b"Lovelace" not in data for data in hub.files.values())
    assert "People labelled 1 of 24 rows (4.2%)" in hub.files["README.md"].decode()
    [row] = [r for r in table(hub.files, "data") if r["id"] == said["id"]]
    assert row["label_name"] == "spam", "what a person said takes the place of what the source said"


def test_the_same_folder_again_makes_no_commit(hub, written):
    first = hub.push(written(rounds=1))
    again = hub.push(written("again", rounds=1))
    assert (again.commit, again.version, again.counts) == (first.commit, 1, {})
    assert hub.commits == 1


def test_a_public_repository_is_refused_where_private_was_asked(hub, written):
    repo = hub.make(private=False)
    with pytest.raises(UserError, match=r"expected a private repository, it is public.*Fix: ") as caught:
        hub.push(written(), revision="next")
    assert caught.value.exit_code == 2
    assert hub.commits == 0
    assert {kind for kind, _ in hub.requests} == {"create", "info"}
    assert not repo.gated


def test_another_dataset_of_that_name_is_not_written_over(hub, written):
    hub.make(private=True).add("main", {"README.md": b"my poems", "data/train-00000-of-00001.parquet": b"PAR1"}, "poems")
    with pytest.raises(UserError, match="found another one; nothing was pushed"):
        hub.push(written())
    assert hub.commits == 1


def test_another_policy_is_refused_and_a_longer_one_is_not(hub, written, rules, tmp_path):
    hub.push(written())
    other = rules.model_copy(update={"name": "hate"})
    with pytest.raises(UserError, match="expected rows under its policy spam"):
        hub.push(written("other", under=other))
    scam = rules.categories[0].model_copy(update={"name": "scam"})
    longer = rules.model_copy(update={"version": "2.0", "categories": (*rules.categories, scam)})
    turned = rules.model_copy(update={"categories": (scam, *rules.categories)})
    with pytest.raises(UserError, match="Fix: another repository"):
        hub.push(written("turned", under=turned))
    done = hub.push(written("longer", under=longer, job="later", note="later"))
    assert "policy-2.0-v2" in done.tags
    found = datasets.load_dataset(str(hub.download(tmp_path / "there")), cache_dir=str(tmp_path / "c"))
    assert found["train"].features["label"].names == ["benign", "spam", "scam"]
    assert {found["train"].features["label"].int2str(r["label"]) == r["label_name"] for r in found["train"]} == {True}
    shorter = hub.push(written("more", rounds=1))
    assert shorter.version == 3


@pytest.mark.parametrize("status", [409, 412])
def test_a_head_that_moved_is_looked_at_again(hub, written, status):
    """Somebody commits between our look and our commit: a shard that no manifest names goes, their own file stays."""
    theirs = {"data/judge-spam.r07-00007.parquet": b"old", "theirs.txt": b"x"}
    hub.push(written("first", ("train",)))

    def once(repo):
        if hub.commits == 1:
            repo.add("main", repo.files | theirs, "theirs")
            if status == 409:
                hub.answers["commit"] = [409]

    hub.meanwhile = once
    folder = written(splits=("train", "test"))
    hub.push(folder)
    found = hub.files
    assert found.pop("theirs.txt") == b"x"
    assert plain(found) == plain(local(folder))
    parents = [body[0]["value"]["parentCommit"] for kind, body in hub.requests if kind == "commit"]
    assert parents == list(hub.repo.commits)[:3], "each try names the head that it looked at"


def test_two_who_push_at_once_both_find_their_rows_there(hub, written):
    """The other's whole push falls between our look and our commit."""
    hub.push(written("first"))
    other = written("other", job="other", note="other", rounds=1)

    def once(repo):
        hub.meanwhile = lambda repo: None
        import threading

        thread = threading.Thread(target=lambda: hub.push(other))
        thread.start()
        pushes.append(thread)

    pushes = []
    hub.meanwhile = once
    hub.push(written("mine", rounds=2))
    pushes[0].join()
    assert len(ids(hub.files)) == len({*ids(hub.files)}) == 48 + 36
    assert {"v1", "v2", "v3"} <= hub.repo.tags.keys()
    assert len({hub.repo.tags[v] for v in ("v1", "v2", "v3")}) == 3


def test_a_card_that_they_changed_is_ours_again(hub, written):
    first = hub.push(written())
    card = hub.files["README.md"]
    hub.repo.add("main", hub.repo.files | {"README.md": card + b"scribble"}, "theirs")
    done = hub.push(written("again"))
    assert hub.files["README.md"] == card
    assert (done.version, hub.repo.tags["v1"]) == (1, first.commit)


def test_a_head_that_never_rests_ends_the_push_unforced(hub, written):
    hub.meanwhile = lambda repo: repo.add("main", repo.files | {"log.txt": b"x" * hub.commits}, "theirs")
    with pytest.raises(SparringError, match="others commit to it faster than this push can, 6 tries") as caught:
        hub.push(written())
    assert caught.value.exit_code == 1
    assert set(hub.files) == {"log.txt"}
    assert sum(kind == "commit" for kind, _ in hub.requests) == remote.TRIES


def test_a_branch_is_made_and_main_stays(hub, written, tmp_path):
    folder = written()
    done = hub.push(folder, revision="policy/1.0")
    assert hub.files == {}
    assert set(done.tags) == {"policy/1.0-v1", "policy/1.0-policy-1.0-v1"}
    found = hub.download(tmp_path / "there", revision="policy/1.0")
    assert rows(found, tmp_path / "a") == rows(folder, tmp_path / "b")


def test_a_bare_name_goes_to_the_owner_of_the_token(hub, written):
    done = hub.push(written(), "spam")
    assert done.repo_id == "me/spam"
    assert "data/train-spam.data-00000.parquet" in hub.repos["me/spam"].files


def test_without_a_login_nothing_is_sent(hub, written, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    with pytest.raises(UserError, match=r"there is none\. Fix: `hf auth login`"):
        hub.push(written())
    assert hub.requests == []


DAMAGES = {
    "holds no README": lambda folder, shard: (folder / "README.md").unlink(),
    "holds no sparring.json": lambda folder, shard: (folder / "sparring.json").unlink(),
    "expected the manifest": lambda folder, shard: (folder / "sparring.json").write_text("{]"),
    "expected layout 2": lambda folder, shard: (folder / "sparring.json").write_text('{"layout": 3}'),
    "is missing": lambda folder, shard: shard.unlink(),
    "is not the file that": lambda folder, shard: shard.write_bytes(shard.read_bytes()[:-9]),
    "not in its manifest": lambda folder, shard: shard.with_name("poems.parquet").write_bytes(shard.read_bytes()),
}


@pytest.mark.parametrize("said", DAMAGES)
def test_only_a_dataset_by_sparring_is_pushed(hub, written, said):
    folder = written()
    DAMAGES[said](folder, folder / "data" / "train-spam.data-00000.parquet")
    with pytest.raises(DataError, match=said):
        hub.push(folder)
    assert hub.requests == []


def test_a_file_of_the_right_size_and_other_bytes_is_not_committed(hub, written):
    folder = written()
    shard = folder / "data" / "train-spam.data-00000.parquet"
    shard.write_bytes(shard.read_bytes().replace(b"parquet-cpp", b"parquet-cqq"))
    with pytest.raises(DataError, match="expected the file that the manifest tells of, found another"):
        hub.push(folder)
    assert hub.commits == 0


def test_an_id_that_stands_twice_is_refused(hub, written, rows_of):
    with pytest.raises(DataError, match="1 of its ids stand twice"):
        hub.push(written(records=[*rows_of(), rows_of()[3]]))
    assert hub.requests == []


def test_the_manifest_tells_of_each_shard(written):
    folder = written(rounds=1)
    found = manifest.read(folder)
    for path, shard in found.shards.items():
        assert shard.rows == pq.read_metadata(folder / path).num_rows == sum(c.rows for c in shard.counts)
        assert shard.bytes == (folder / path).stat().st_size
    assert found.parts == {"spam.data", "spam.r00"}
