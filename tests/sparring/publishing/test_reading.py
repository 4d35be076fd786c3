"""What was published is read back by its name on the hub, at a version and by file, by every command that takes data."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from sparring import refs
from sparring.errors import ReferenceNotFound

ROOT = pathlib.Path(__file__).parents[3]
READ = """
import json, pathlib, sys
from mining.dataset.sources import opened
from sparring import data, errors, jobs

def tried(work):
    try:
        return work()
    except errors.UserError as error:
        return f"{type(error).__name__} {error.exit_code}: {error}"

def job(source, format):
    settings = jobs.DataSettings(source=source, format=format, label="label_name", key="id")
    return sorted(key for key, _, _ in data._read(settings, pathlib.Path()))

asked = json.load(sys.stdin)
print(json.dumps({
    "mined": [tried(lambda: sorted(opened(name, "train")[0]["id"])) for name in asked["mined"]],
    "jobs": [tried(lambda: job(*one)) for one in asked["jobs"]],
}))
"""


@pytest.fixture
def read(hub, tmp_path):
    """In a process of its own: the libraries take the hub's address from the environment when they are imported."""

    def ask(mined=(), jobs=()) -> dict:
        told = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "home")}
        done = subprocess.run(
            [sys.executable, "-c", READ], input=json.dumps({"mined": mined, "jobs": jobs}), env=os.environ | told, text=True,
            stdout=subprocess.PIPE, cwd=ROOT, timeout=120, check=True,
        )  # fmt: skip
        return json.loads(done.stdout.splitlines()[-1])

    return ask


def test_rows_come_back_by_name_version_and_file(hub, written, rows_of, read):
    first, both = (rows_of(["train"], note=note) for note in ("", "more "))
    hub.push(written("one", records=first))
    hub.push(written("two", job="more", records=both))
    old, every = sorted(r.id for r in first), sorted(r.id for r in [*first, *both])
    assert len(every) == len(old) + len(both)
    file = "data/train-spam.data-00000.parquet"
    assert file in hub.files
    name = "hf://datasets/ada/spam"
    found = read(
        mined=[name, "hf://ada/spam", f"{name}@v1", f"{name}/{file}", f"{name}@v1/{file}", "hf://ada/none"],
        jobs=[(name, "dataset"), (f"{name}@v1", "dataset"), (f"{name}/{file}", "parquet"), (f"{name}/none.csv", "csv"),
              ("hf://ada/none", "dataset")],
    )  # fmt: skip
    assert found["mined"][:5] == [every, every, old, old, old]
    assert found["jobs"][:3] == [every, old, old]
    for said in (found["mined"][5], *found["jobs"][3:]):
        assert said.partition(":")[0] in ("ReferenceNotFound 2", "DataError 2"), said
        assert "expected a" in said
        assert "on the hub" in said


@pytest.mark.parametrize("reference", ["hf://", "hf:///x", "hf://a@/b"])
def test_what_names_no_data_set_is_said(reference):
    with pytest.raises(ReferenceNotFound, match="expected hf://datasets/ORG/NAME"):
        refs.data(reference)


def test_a_path_is_what_it_was(tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\n")
    assert refs.data("rows.csv", base=tmp_path) == refs.Data(str(tmp_path / "rows.csv"))
    assert refs.data("hf://org/name@refs/pr/1") == refs.Data("org/name", "refs/pr/1", remote=True)
