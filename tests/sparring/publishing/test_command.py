"""`sparring publish` as a person types it."""

from __future__ import annotations

import json
import pathlib
import runpy

import pytest
from typer.testing import CliRunner

from sparring.errors import UserError
from sparring.publishing import command

HELP = runpy.run_path(str(pathlib.Path(__file__).with_name("helpers.py")))
REPO = HELP["REPO"]


@pytest.fixture
def sparring(hub, monkeypatch):
    """The sub-app against the hub on loopback; jobs are not run here."""
    import huggingface_hub

    made = command.app(lambda path, until: pytest.fail("no job was named"))
    api = huggingface_hub.HfApi
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda endpoint=None, **rest: api(endpoint=hub.url, **rest))

    def run(*words, typed: str | None = None, tty: bool = False):
        monkeypatch.setattr(command, "interactive", lambda: tty)
        return CliRunner().invoke(made, [str(w) for w in words], input=typed)

    return run


def test_a_folder_is_pushed_and_the_result_told(sparring, hub, written):
    done = sparring(written(), "--push", REPO, "--json")
    told = json.loads(done.stdout)
    assert (told["pushed"], told["version"]) == (f"{hub.url}/datasets/{REPO}", 1)
    assert told["changed"] == {"rows": 24, "added": 24, "withdrawn": 0, "relabelled": 0}
    assert hub.repo.private
    again = sparring(written("again"), "--push", REPO)
    assert "changed  nothing" in again.stdout


def test_without_push_nothing_is_sent(sparring, hub, written):
    done = sparring(written())
    assert done.stdout.startswith("dataset")
    assert hub.requests == []


def test_public_without_a_terminal_needs_the_option(sparring, hub, written):
    folder = written()
    for words in ((), ("--confirm", "spam"), ("--confirm", "")):
        done = sparring(folder, "--push", REPO, "--public", *words)
        assert isinstance(done.exception, UserError)
        assert hub.requests == []
    done = sparring(folder, "--push", REPO, "--public", "--confirm", REPO)
    assert done.exit_code == 0
    assert (hub.repo.private, hub.repo.gated) == (False, "manual")


@pytest.mark.parametrize(("typed", "goes"), [(f"{REPO}\n", True), ("y\n", False), ("spam\n", False)])
def test_public_at_a_terminal_asks_for_the_name(sparring, hub, written, typed, goes):
    done = sparring(written(), "--push", REPO, "--public", typed=typed, tty=True)
    assert f"Type its name to make it public: {typed.strip()}" in done.stdout.replace("\n", "") + typed.strip()
    assert (done.exit_code == 0) is goes
    assert (hub.commits == 1 if REPO in hub.repos else False) is goes


def test_erase_and_diff(sparring, hub, written, tmp_path):
    hub.push(written("r0", rounds=1))
    done = sparring("erase", "rows.csv#train-1", "--repo", REPO, "--why", "asked for by its author")
    assert f"{REPO}: 2 rows erased, 1 of them made from what was asked for" in done.stdout
    assert "earlier versions still hold rows of it: policy-1.0-v1 (2), v1 (2)" in done.stdout
    told = sparring("diff", "v1", "v2", "--repo", REPO)
    assert "- 2 rows gone: 2 erased" in told.stdout
    assert json.loads(sparring("diff", "v1", "v2", "--repo", REPO, "--json").stdout)["gone"]["rows.csv#train-1"] == "erased"
    local = sparring("diff", tmp_path / "r0", tmp_path / "r0")
    assert "nothing changed" in local.stdout


def test_a_policy_beside_the_rounds_of_a_run_is_the_one_that_scans(sparring, hub, written, rules, tmp_path, policy_path):
    from sparring.record import real

    run = tmp_path / "run" / "round-00"
    run.mkdir(parents=True)
    text = policy_path.read_text(encoding="utf-8") + "\npublish:\n  phones: refuse\n"
    (run.parent / "policy.yaml").write_text(text, encoding="utf-8")
    shared = {"policy": rules.name, "policy_version": rules.version, "split": "train", "label_name": "spam"}
    folder = written("run/round-00/dataset", records=[real(source="s", key="1", text="call 08712 300 220", **shared)])
    refused = sparring(folder, "--push", REPO)
    assert "1 with a phone number (s#1)" in str(refused.exception)
    assert "every row of it is left out" in str(sparring(folder, "--push", REPO, "--leave-out").exception)
    assert sparring(folder, "--push", REPO, "--policy", policy_path).exit_code == 0
