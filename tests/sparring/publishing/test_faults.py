"""Whatever goes wrong on the way, the repository holds exactly one copy of each row in the end."""

from __future__ import annotations

import copy
import pathlib
import runpy
import shutil
import time

import huggingface_hub
import pytest

from sparring.errors import SparringError, UserError
from sparring.publishing import manifest, remote

HELP = runpy.run_path(str(pathlib.Path(__file__).with_name("helpers.py")))
REPO, TOKEN, ids = (HELP[name] for name in ("REPO", "TOKEN", "ids"))
KINDS = ("create", "info", "refs", "tag", "preupload", "batch", "upload", "verify", "commit", "download")


@pytest.fixture(autouse=True)
def _no_naps(monkeypatch):
    """The client's own waits between tries, without the waiting."""
    monkeypatch.setattr(huggingface_hub.utils._http.time, "sleep", lambda seconds: waits.append(seconds))
    waits.clear()


waits: list[float] = []


def one_copy_each(hub, *folders: pathlib.Path) -> None:
    found = ids(hub.files)
    wanted = {id for folder in folders for id in ids(HELP["local"](folder))}
    assert len(found) == len(set(found)), "duplicate rows"
    assert set(found) == wanted, "lost rows"
    known = manifest.parse(hub.files[manifest.NAME], "hub")
    assert known.rows == len(found)
    assert hub.repo.commits[hub.repo.tags[f"v{known.version}"]].files.keys() >= known.shards.keys()


@pytest.fixture(scope="module")
def stored() -> dict:
    """Two folders and a repository that holds the first, made once."""
    return {}


@pytest.fixture
def begun(hub, written, stored, tmp_path_factory):
    if not stored:
        folders = tmp_path_factory.mktemp("stored")
        made = written("first", rounds=1, n=2), written("second", job="other", note="other", n=2)
        stored["folders"] = [pathlib.Path(shutil.copytree(folder, folders / folder.name)) for folder in made]
        hub.push(stored["folders"][0])
        stored["hub"] = copy.deepcopy((hub.repos, hub.objects))
    repos, objects = copy.deepcopy(stored["hub"])
    hub.repos.update(repos)
    hub.objects.update(objects)
    return stored["folders"]


@pytest.mark.parametrize("fault", [429, 500, "reset", "lost"], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_once_on_any_request(hub, begun, kind, fault):
    first, second = begun
    hub.answers[kind] = [fault]
    hub.push(second)
    assert hub.answers[kind] == [], f"no {kind} was asked"
    one_copy_each(hub, first, second)
    assert hub.commits == 2, "one commit a push, whatever was lost on the way"
    assert {"v1", "v2"} <= hub.repo.tags.keys()
    assert "v3" not in hub.repo.tags


def test_a_server_that_names_a_time_is_waited_for(hub, written):
    hub.answers["info"] = [(429, {"Retry-After": "3"})]
    folder = written()
    hub.push(folder)
    assert 3.0 in waits
    one_copy_each(hub, folder)


def test_one_that_names_too_long_a_time_is_not(hub, written):
    hub.answers["info"] = [(429, {"Retry-After": "86400"}), ...]
    with pytest.raises(SparringError, match="429"):
        hub.push(written())
    assert sum(kind == "info" for kind, _ in hub.requests) == 1


def test_a_commit_that_was_made_and_not_answered_is_found_by_the_next_look(hub, written):
    hub.answers["commit"] = ["lost"]
    folder = written()
    done = hub.push(folder)
    assert hub.commits == 1
    assert done.commit == hub.repo.branches["main"] == hub.repo.tags["v1"]
    one_copy_each(hub, folder)


def test_a_process_that_dies_between_commit_and_tag_is_made_good_by_the_next(hub, written):
    folder = written()
    hub.answers["tag"] = [403, ...]
    with pytest.raises(UserError):
        hub.push(folder)
    assert (hub.commits, hub.repo.tags) == (1, {})
    hub.answers.clear()
    hub.push(folder)
    assert hub.commits == 1
    one_copy_each(hub, folder)


def test_every_other_commit_is_somebody_elses(hub, written):
    folders = [written(f"f{i}", job=f"job{i}", note=f"note{i}") for i in range(3)]
    count = iter(range(100))
    hub.meanwhile = lambda repo: next(count) % 2 or repo.add("main", repo.files | {"log.txt": b"%d" % hub.commits}, "theirs")
    for folder in folders:
        hub.push(folder)
    one_copy_each(hub, *folders)
    assert hub.files["log.txt"]


def test_a_slow_server_is_waited_for_and_a_dead_one_is_not(hub, written, monkeypatch):
    monkeypatch.setattr(huggingface_hub.utils._http.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(remote, "TIMEOUT", 0.4)
    before = huggingface_hub.get_session().timeout
    hub.answers["commit"] = [0.1, ...]
    folder = written()
    hub.push(folder)
    one_copy_each(hub, folder)
    hub.answers["info"] = [0.8, ...]
    started = time.monotonic()
    with pytest.raises(SparringError, match=r"did not get through: .*[Tt]ime.*Run the same command again"):
        hub.push(folder)
    assert time.monotonic() - started < 10
    assert huggingface_hub.get_session().timeout == before
    hub.answers.clear()


def test_a_commit_that_comes_after_the_time_out_is_not_made_twice(hub, written, monkeypatch):
    monkeypatch.setattr(remote, "TIMEOUT", 0.4)
    hub.answers["commit"] = [0.7]
    folder = written()
    hub.push(folder)
    one_copy_each(hub, folder)
    assert hub.commits == 1


@pytest.mark.parametrize("kind", ["create", "info", "settings", "branch", "commit", "tag"])
@pytest.mark.parametrize(("status", "error"), [(500, SparringError), (403, UserError)])
def test_a_hub_that_fails_for_ever_gets_one_clean_line_without_the_token(hub, written, kind, status, error, caplog):
    """The server says the token back; neither the error nor a log does."""
    hub.answers[kind] = [status, ...]
    public = {"private": False, "confirmed": REPO} if kind == "settings" else {}
    with pytest.raises(error, match=f"{status} no luck for Bearer \\*\\*\\*") as caught:
        hub.push(written(), revision="next" if kind == "branch" else None, **public)
    message = str(caught.value)
    assert "\n" not in message
    assert TOKEN not in message + repr(caught.value) + caplog.text
    assert caught.value.exit_code == (2 if error is UserError else 1)
    assert caught.value.__suppress_context__
    assert REPO not in hub.repos or hub.commits == (kind == "tag")


def test_an_upload_that_is_refused_says_so(hub, written):
    hub.answers["upload"] = [403, ...]
    with pytest.raises(UserError, match=r"PUT http://127.0.0.1:\d+/lfs/upload/\w+: 403"):
        hub.push(written())
    assert hub.commits == 0


def test_no_hub_there_and_a_name_that_cannot_be(hub, written):
    folder, url = written(), hub.url
    object.__setattr__(hub, "url", "http://127.0.0.1:9")
    with pytest.raises(SparringError, match=r"did not get through: ConnectError: .*Run the same command again"):
        hub.push(folder)
    object.__setattr__(hub, "url", url)
    with pytest.raises(UserError, match="a/b/c"):
        hub.push(folder, "a/b/c")
