"""The real client against a small hub on loopback (hub_server.py)."""

from __future__ import annotations

import pathlib
import runpy
import shutil
import time

import datasets
import huggingface_hub
import pyarrow.parquet as pq
import pytest

from sparring import hub, policy, publish, record
from sparring.errors import DataError, SparringError, UserError

SERVER = runpy.run_path(str(pathlib.Path(__file__).with_name("hub_server.py")))
TOKEN = "hf_" + "s3cr3t" * 5
REPO = "ada/spam"


@pytest.fixture
def remote(monkeypatch, tmp_path, loopback):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)  # read from the environment at import
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(hub, "WAIT", 0.01)
    server = SERVER["Hub"]()
    with loopback(server.app()) as server.url:
        yield server
    huggingface_hub.close_session()


@pytest.fixture
def written(tmp_path, policy_path):
    """Writes a dataset folder as a round does, with the given splits."""
    rules = policy.load(policy_path)

    def write(name: str = "dataset", splits: tuple[str, ...] = record.SPLITS, note: str = "") -> pathlib.Path:
        records = [
            record.real(
                source="rows.csv", key=f"{split}-{i}", text=f"{note} win cash, number {i} of {split}: žluť 🎁",
                label_name=rules.labels[i % 2], policy=rules.name, policy_version=rules.version, split=split, language="en",
            )
            for split in splits
            for i in range(6)
        ]  # fmt: skip
        publish.write(tmp_path / name, records, rules, name="spam", facts={"round": 0})
        return tmp_path / name

    return write


def pushed(remote, folder, **options) -> hub.Pushed:
    return hub.push(folder, REPO, endpoint=remote.url, **options)


def rows(folder: pathlib.Path, cache: pathlib.Path) -> dict[str, list[dict]]:
    return {split: part.to_list() for split, part in datasets.load_dataset(str(folder), cache_dir=str(cache)).items()}


def downloaded(remote, to: pathlib.Path, **options) -> pathlib.Path:
    """What a person with access gets, by the client's own download."""
    folder = huggingface_hub.snapshot_download(
        REPO, repo_type="dataset", endpoint=remote.url, local_dir=to, token=TOKEN, cache_dir=to / "cache", **options
    )
    return pathlib.Path(folder)


def commits(remote) -> int:
    return len(remote.repos[REPO].commits) - 1  # the first comes with the repository


def local(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def remote_files(remote) -> dict[str, bytes]:
    return {path: data for path, data in remote.repos[REPO].files.items() if path != ".gitattributes"}


def test_what_is_pushed_reads_back_row_by_row(remote, written, tmp_path):
    folder = written()
    done = pushed(remote, folder)
    assert commits(remote) == 1
    assert done.repo_id == REPO
    assert done.url == f"{remote.url}/datasets/{REPO}"
    assert done.commit == remote.repos[REPO].branches["main"]
    assert TOKEN not in repr(done)
    assert set(done.files) == set(remote_files(remote))
    assert remote_files(remote) == local(folder)
    found = rows(downloaded(remote, tmp_path / "there"), tmp_path / "cache-a")
    assert set(found) == set(record.SPLITS)
    assert found == rows(folder, tmp_path / "cache-b")


def test_private_is_the_default_and_is_really_sent(remote, written):
    pushed(remote, written())
    [(_, created)] = [r for r in remote.requests if r[0] == "create"]
    assert created["visibility"] == "private"
    assert created["type"] == "dataset"
    assert remote.repos[REPO].private
    assert not remote.repos[REPO].gated


def test_a_public_dataset_is_gated_before_its_rows_arrive(remote, written):
    pushed(remote, written(), private=False)
    kinds = [kind for kind, _ in remote.requests]
    assert kinds.index("settings") < kinds.index("upload") < kinds.index("commit")
    assert not remote.repos[REPO].private
    assert remote.repos[REPO].gated == "manual"


def test_a_smaller_push_leaves_no_stale_shard_behind(remote, written, tmp_path):
    pushed(remote, written())
    remote.repos[REPO].add("main", remote.repos[REPO].files | {"data/notes.txt": b"mine"}, "a person's file")
    smaller = written("smaller", ("train", "test"))
    pushed(remote, smaller)
    assert commits(remote) == 3, "the first push, the person's file, one commit for new, changed and deleted files"
    found = remote_files(remote)
    assert found.pop("data/notes.txt") == b"mine"
    assert found == local(smaller)
    assert rows(downloaded(remote, tmp_path / "there"), tmp_path / "a") == rows(smaller, tmp_path / "b")


def test_the_same_folder_again_makes_no_commit(remote, written):
    first = pushed(remote, written())
    assert pushed(remote, written("again")) == first
    assert commits(remote) == 1


def test_a_public_repository_is_refused_where_private_was_asked(remote, written):
    remote.repos[REPO] = SERVER["Repo"](private=False)
    with pytest.raises(UserError, match=r"expected a private repository, it is public.*Fix: ") as caught:
        pushed(remote, written(), revision="next")
    assert caught.value.exit_code == 2
    assert commits(remote) == 0
    assert {kind for kind, _ in remote.requests} == {"create", "info"}
    assert not remote.repos[REPO].gated


def test_another_dataset_of_that_name_is_not_written_over(remote, written):
    remote.repos[REPO] = SERVER["Repo"](private=True)
    remote.repos[REPO].add("main", {"README.md": b"my poems", "data/train-00000-of-00001.parquet": b"PAR1"}, "poems")
    with pytest.raises(UserError, match="found another one; nothing was pushed"):
        pushed(remote, written())
    assert commits(remote) == 1


@pytest.mark.parametrize("status", [409, 412])
def test_a_head_that_moved_is_looked_at_again(remote, written, status):
    """Somebody commits between our look and our commit: a stale shard of theirs goes, their own file stays."""
    theirs = {"README.md": b"---\ntags: [sparring]\n---\n", "data/judge-00007-of-00008.parquet": b"old", "theirs.txt": b"x"}

    def once(repo):
        if commits(remote) == 0:
            repo.add("main", repo.files | theirs, "theirs")
            if status == 409:
                remote.answers["commit"] = [409]

    remote.meanwhile = once
    folder = written(splits=("train", "test"))
    pushed(remote, folder)
    found = remote_files(remote)
    assert found.pop("theirs.txt") == b"x"
    assert found == local(folder)
    parents = [body[0]["value"]["parentCommit"] for kind, body in remote.requests if kind == "commit"]
    assert parents == list(remote.repos[REPO].commits)[:2], "each try names the head that it looked at"


def test_a_file_that_they_changed_is_ours_again_after_the_retry(remote, written):
    """What the first look found unchanged may have changed by the second."""
    pushed(remote, written())
    card = remote_files(remote)["README.md"]
    grown = written("grown", note="more")
    (grown / "README.md").write_bytes(card)

    def once(repo):
        if commits(remote) == 1:
            repo.add("main", repo.files | {"README.md": card + b"scribble"}, "theirs")

    remote.meanwhile = once
    pushed(remote, grown)
    assert remote_files(remote) == local(grown)


def test_a_head_that_never_rests_ends_the_push_unforced(remote, written):
    remote.meanwhile = lambda repo: repo.add("main", repo.files | {"log.txt": b"x" * commits(remote)}, "theirs")
    with pytest.raises(SparringError, match="others commit to it faster than this push can, 4 tries") as caught:
        pushed(remote, written())
    assert caught.value.exit_code == 1
    assert set(remote_files(remote)) == {"log.txt"}
    assert sum(kind == "commit" for kind, _ in remote.requests) == 4


def test_a_lost_answer_costs_nothing(remote, written):
    folder = written()
    remote.lose_answer = True
    with pytest.raises(SparringError, match="did not get through"):
        pushed(remote, folder)
    done = pushed(remote, folder)
    assert commits(remote) == 1
    assert done.commit == remote.repos[REPO].branches["main"]
    assert remote_files(remote) == local(folder)


def test_a_branch_is_made_and_main_stays(remote, written, tmp_path):
    folder = written()
    pushed(remote, folder, revision="policy/1.0")
    assert remote_files(remote) == {}
    assert rows(downloaded(remote, tmp_path / "there", revision="policy/1.0"), tmp_path / "a") == rows(folder, tmp_path / "b")


def test_a_bare_name_goes_to_the_owner_of_the_token(remote, written):
    done = hub.push(written(), "spam", endpoint=remote.url)
    assert done.repo_id == "me/spam"
    assert "data/train-00000-of-00001.parquet" in remote.repos["me/spam"].files


def test_without_a_login_nothing_is_sent(remote, written, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    with pytest.raises(UserError, match=r"there is none\. Fix: `hf auth login`"):
        pushed(remote, written())
    assert remote.requests == []


@pytest.mark.parametrize("kind", ["create", "info", "settings", "branch", "commit"])
@pytest.mark.parametrize(("status", "error"), [(500, SparringError), (403, UserError)])
def test_a_hub_that_fails_for_ever_gets_one_clean_line_without_the_token(remote, written, kind, status, error):
    """The server says the token back; the error does not."""
    remote.answers[kind] = [status, ...]
    with pytest.raises(error, match=f"{status} no luck for Bearer \\*\\*\\*") as caught:
        pushed(remote, written(), private=kind != "settings", revision="next" if kind == "branch" else None)
    message = str(caught.value)
    assert "\n" not in message
    assert TOKEN not in message + repr(caught.value)
    assert caught.value.exit_code == (2 if error is UserError else 1)
    assert caught.value.__suppress_context__
    assert REPO not in remote.repos or commits(remote) == 0


def test_an_upload_that_is_refused_says_so(remote, written):
    remote.answers["upload"] = [403, ...]
    with pytest.raises(UserError, match=r"PUT http://127.0.0.1:\d+/lfs/upload/\w+: 403"):
        pushed(remote, written())
    assert commits(remote) == 0


def test_a_hub_that_does_not_answer_is_not_waited_for(remote, written, monkeypatch):
    monkeypatch.setattr(hub, "TIMEOUT", 0.3)
    remote.meanwhile = lambda repo: time.sleep(1.0)
    before = huggingface_hub.get_session().timeout
    with pytest.raises(SparringError, match=r"did not get through: .*[Tt]ime.*Run the same command again"):
        pushed(remote, written())
    assert huggingface_hub.get_session().timeout == before
    remote.meanwhile = lambda repo: None


def test_no_hub_there_and_a_name_that_cannot_be(written, remote):
    folder = written()
    with pytest.raises(SparringError, match=r"did not get through: ConnectError: .*Run the same command again"):
        hub.push(folder, REPO, endpoint="http://127.0.0.1:9")
    with pytest.raises(UserError, match="a/b/c"):
        hub.push(folder, "a/b/c", endpoint=remote.url)


DAMAGES = {
    "holds no README": lambda card, shard: card.unlink(),
    "lacks the tag": lambda card, shard: card.write_text("---\ntags: [poems]\n---\n"),
    "header of its README.md": lambda card, shard: card.write_text("---\ntags: [\n---\n"),
    "holds no shard": lambda card, shard: shutil.rmtree(shard.parent),
    "no readable parquet": lambda card, shard: shard.write_bytes(shard.read_bytes()[:-9]),
    "does not hold Sparring's records": lambda card, shard: pq.write_table(pq.read_table(shard).drop_columns(["group"]), shard),
    "data/poems.parquet": lambda card, shard: shard.rename(shard.with_name("poems.parquet")),
}


@pytest.mark.parametrize("said", DAMAGES)
def test_only_a_dataset_by_sparring_is_pushed(remote, written, said):
    folder = written()
    DAMAGES[said](folder / "README.md", folder / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match=f"expected a dataset folder by Sparring .*{said}.* Fix: give a folder such as"):
        pushed(remote, folder)
    assert remote.requests == []
