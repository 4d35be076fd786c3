from __future__ import annotations

import pathlib
import runpy
from collections.abc import Iterable

import huggingface_hub
import pytest

from sparring import policy, record
from sparring.publishing import push, remote, write

HERE = pathlib.Path(__file__).parent
SERVER = runpy.run_path(str(HERE / "hub_server.py"))
HELP = runpy.run_path(str(HERE / "helpers.py"))
TOKEN, REPO = HELP["TOKEN"], HELP["REPO"]


class Hub:
    """The server, and what a person with access sees of it."""

    def __init__(self, server):
        self.server, self.url = server, server.url

    def __setattr__(self, name, value):  # `hub.meanwhile = ...` is the server's
        object.__setattr__(self.server if name == "meanwhile" else self, name, value)

    def __getattr__(self, name):
        return getattr(self.server, name)

    def make(self, *, private: bool):
        self.repos[REPO] = SERVER["Repo"](private=private)
        return self.repos[REPO]

    def push(self, folder, repo: str = REPO, **options) -> remote.Done:
        return push.push(folder, repo, endpoint=self.url, **options)

    @property
    def repo(self):
        return self.server.repos[REPO]

    @property
    def commits(self) -> int:
        return len(self.repo.commits) - 1  # the first comes with the repository

    @property
    def files(self) -> dict[str, bytes]:
        return {path: data for path, data in self.repo.files.items() if path != ".gitattributes"}

    def download(self, to: pathlib.Path, repo: str = REPO, **options) -> pathlib.Path:
        """By the client's own download."""
        folder = huggingface_hub.snapshot_download(
            repo, repo_type="dataset", endpoint=self.url, local_dir=to, token=TOKEN, cache_dir=to / "cache", **options
        )
        return pathlib.Path(folder)


@pytest.fixture
def hub(monkeypatch, tmp_path, loopback):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)  # read from the environment at import
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(remote, "WAIT", 0.01)
    huggingface_hub.utils.disable_progress_bars()
    server = SERVER["Hub"]()
    with loopback(server.app()) as server.url:
        yield Hub(server)
    huggingface_hub.close_session()


@pytest.fixture
def rules(policy_path):
    return policy.load(policy_path)


@pytest.fixture
def rows_of(rules):
    """Real rows and, for each round, rows made from them."""

    def make(
        splits: Iterable[str] = record.SPLITS,
        *,
        rounds: int = 0,
        n: int = 6,
        note: str = "",
        labels=(),
        rules=rules,
        model=None,
    ) -> list[record.Record]:
        shared = {"policy": rules.name, "policy_version": rules.version, "language": "en"}
        real = [
            record.real(
                source="rows.csv", key=f"{note}{split}-{i}", text=f"{note} win cash, number {i} of {split}: žluť 🎁",
                label_name=dict(labels).get(f"{split}-{i}", rules.labels[i % 2]), split=split, **shared,
            )
            for split in splits
            for i in range(n)
        ]  # fmt: skip
        made, parents = [], [r for r in real if r.label_name == rules.labels[1]]
        for number in range(rounds):
            children = [
                record.synthetic(
                    work=["made", note, number, p.id], text=f"{p.text} +{number}", label_name=p.label_name, split=p.split,
                    round=number, parent_ids=(p.id,), root_ids=p.root_ids,
                    generator=record.Generator(name="leet", model=model and model[0], licence=model and model[1]), **shared,
                )
                for p in parents
            ]  # fmt: skip
            made += children
            parents = children
        return [*real, *made]

    return make


@pytest.fixture
def written(tmp_path, rules, rows_of):
    """Writes a dataset folder as a round does."""

    def write_folder(
        name: str = "dataset", *args, job: str = "spam", records=None, facts=None, given=(), under=None, sides=None, **options
    ):
        records = rows_of(*args, rules=under or rules, **options) if records is None else records
        facts = {"round": 0} if facts is None else facts
        write.write(tmp_path / name, records, under or rules, name=job, facts=facts, labels=given, sides=sides)
        return tmp_path / name

    return write_folder
