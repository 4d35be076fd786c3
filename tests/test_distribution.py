"""What a user installs: the names that it takes, and nothing else."""

from __future__ import annotations

import importlib.metadata
import pathlib
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent
NAMES = {"cli", "sparring", "synth", "redteam", "mining"}


def test_the_top_level_names_belong_to_this_distribution_alone():
    owners: dict[str, set[str]] = {name: set() for name in NAMES}
    for distribution in importlib.metadata.distributions():
        for name in (distribution.read_text("top_level.txt") or "").split():
            if name in owners:
                owners[name].add(distribution.metadata["Name"])
        for file in distribution.files or ():
            top = file.parts[0].removesuffix(".py")
            if top in owners and not str(file).startswith(".."):
                owners[top].add(distribution.metadata["Name"])
    assert {name: found - {"sparring"} for name, found in owners.items()} == {name: set() for name in NAMES}


def test_the_command_refuses_when_cli_belongs_to_another_distribution(tmp_path):
    (tmp_path / "cli.py").write_text("raise SystemExit('the wrong module ran')\n", encoding="utf-8")
    command = [sys.executable, "-m", "sparring", "--help"]  # which looks for modules in the working directory first
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert found.returncode == 2
    assert "Another distribution installs a module of that name" in found.stderr
    assert found.stderr.count("\n") == 1


def test_stages_import_nothing_heavy():
    code = "import sparring, synth, redteam, mining, sys; print([m for m in ('torch', 'numpy', 'pyarrow') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.slow
def test_a_wheel_holds_the_top_level_names_and_nothing_else(tmp_path):
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = [name for name in archive.namelist() if ".dist-info/" not in name]
    assert {name.split("/")[0].removesuffix(".py") for name in files} == NAMES
    templates = "sparring/templates/report.html.j2", "sparring/templates/job.yaml", "mining/dataset/templates/mining.html.j2"
    for needed in (*templates, "sparring/py.typed"):
        assert needed in files
