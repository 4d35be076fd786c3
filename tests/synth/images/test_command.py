from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image

from sparring import registry, vision
from sparring.errors import DataError, UserError
from sparring.protocols import Brief
from synth.images import command, examples

SQUARES = [
    vision.png(np.pad(np.full((4 + i % 3, 6), 200, np.uint8), ((2, 10 - i % 3), (2 + i % 5, 8 - i % 5)))) for i in range(12)
]


@pytest.fixture
def folder(tmp_path):
    for i, data in enumerate(SQUARES):
        place = tmp_path / "images" / ("odd" if i % 2 else "even")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:02d}.png").write_bytes(data)
    (tmp_path / "images" / "odd" / "broken.png").write_bytes(SQUARES[0][:40])
    (tmp_path / "images" / "odd" / "notes.txt").write_text("no image", encoding="utf-8")
    return tmp_path / "images"


def test_the_command_trains_a_generator_that_draws(folder, tmp_path):
    words = ["synth", "train", folder, "--out", tmp_path / "made", "--size", "16", "--epochs", "1", "--json"]
    done = subprocess.run([sys.executable, "-m", "sparring", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["images"], said["labels"], said["left_out"]) == (12, {"even": 6, "odd": 6}, {"no image that can be read": 1})
    drawn = registry.make("image_model", "tiny", model=str(tmp_path / "made"), steps=2).draw([Brief("odd", 0)])
    assert vision.opened(drawn[0].image).size == (16, 16)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "made"]


def test_a_job_file_still_goes_to_the_job():
    done = subprocess.run(
        [sys.executable, "-m", "sparring", "synth", "absent.yaml"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "absent.yaml: expected a file" in done.stderr


def test_a_data_set_with_columns_is_read_and_rows_without_a_label_are_counted(tmp_path):
    rows = {"picture": [{"bytes": data, "path": None} for data in SQUARES[:4]], "kind": [0, 1, -1, 0]}
    features = Features({"picture": Image(), "kind": ClassLabel(names=["cat", "dog"])})
    Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "rows.parquet"))
    found = examples.read(str(tmp_path / "rows.parquet"), image="picture", label="kind")
    assert (found.images, found.labels) == ((SQUARES[0], SQUARES[1], SQUARES[3]), ("cat", "dog", "cat"))
    assert found.rejected == {"no label": 1}
    with pytest.raises(DataError, match=r"expected the column 'image' out of picture, kind. Fix: --image NAME"):
        examples.read(str(tmp_path / "rows.parquet"))


def test_mistakes_are_said_and_leave_nothing_behind(folder, tmp_path):
    def train(source, out="made", **options):
        return command.train(str(source), tmp_path / out, {}, {"size": 16, "epochs": 1} | options, progress=lambda *_: None)

    (tmp_path / "empty" / "label").mkdir(parents=True)
    with pytest.raises(DataError, match="a subfolder of images for each label, or rows; found none"):
        train(tmp_path / "empty")
    (tmp_path / "empty" / "label" / "a.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"of 1 rows none: \{'no image that can be read': 1\}"):
        train(tmp_path / "empty")
    with pytest.raises(DataError, match=r"expected a folder, a file that ends in .parquet"):
        train(tmp_path / "absent.csv")
    with pytest.raises(UserError, match="a folder that is not there yet"):
        train(folder, out="empty")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "images"]
