from __future__ import annotations

import os
import pathlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sparring import gguf
from sparring.errors import MissingExtra


@pytest.fixture
def model(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return path


def convert(path: pathlib.Path, folder: pathlib.Path) -> None:
    (folder / "model.safetensors").write_bytes(path.read_bytes() * 2)


def test_a_file_is_converted_once_by_its_content(model: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(gguf, "_convert", lambda path, folder: (made.append(path), convert(path, folder)))
    folder = gguf.converted(model)
    assert folder == gguf.cache_folder() / gguf.content_hash(model)
    assert (folder / "model.safetensors").read_bytes() == b"GGUFGGUF"
    assert gguf.converted(model) == folder
    copy = model.rename(model.with_name("other.gguf"))
    assert gguf.converted(copy) == folder
    assert len(made) == 1
    copy.write_bytes(b"GGUF, changed")
    assert gguf.converted(copy) != folder


def test_a_conversion_that_fails_leaves_nothing(model: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: pathlib.Path, folder: pathlib.Path) -> None:
        convert(path, folder)
        raise OSError("disk full")

    monkeypatch.setattr(gguf, "_convert", fail)
    with pytest.raises(OSError, match="disk full"):
        gguf.converted(model)
    assert list(gguf.cache_folder().iterdir()) == []


def test_what_a_killed_conversion_left_is_no_model_and_goes(model: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gguf, "_convert", convert)
    left = gguf.cache_folder() / f".{gguf.content_hash(model)}-killed"
    left.mkdir(parents=True)
    os.utime(left, (time.time() - 2 * gguf.DAY,) * 2)
    running = gguf.cache_folder() / ".0123-running"
    running.mkdir()
    assert (gguf.converted(model) / "model.safetensors").exists()
    assert running.exists()
    assert not left.exists()


def test_of_two_conversions_at_once_one_stays(model: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(path: pathlib.Path, folder: pathlib.Path) -> None:
        convert(path, folder)
        time.sleep(0.2)

    monkeypatch.setattr(gguf, "_convert", slowly)
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(gguf.converted, [model] * 4))
    assert [p.name for p in gguf.cache_folder().iterdir()] == [folders.pop().name]


def test_a_folder_has_the_hash_of_its_files(tmp_path: pathlib.Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    assert gguf.content_hash(tmp_path / "one") == gguf.content_hash(tmp_path / "two")
    (tmp_path / "two" / "more.json").write_text("{}")
    assert gguf.content_hash(tmp_path / "one") != gguf.content_hash(tmp_path / "two")


def test_a_missing_package_is_named(model: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparring.gguf.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"a GGUF model needs the package gguf.*pip install 'sparring\[demo\]'"):
        gguf.converted(model)
