from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

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


@pytest.fixture(scope="module")
def reals(tmp_path_factory):
    """Digits as a scanner gives them, in a subfolder for each label, and two generators: each sharpens or blurs its start."""
    from sklearn.datasets import load_digits

    place, rng = tmp_path_factory.mktemp("reals"), np.random.default_rng(0)
    found = load_digits()
    for i, (digit, label) in enumerate(zip(found.images[:60], found.target[:60], strict=True)):
        (place / str(label)).mkdir(exist_ok=True)
        big = np.kron(digit * 14, np.ones((3, 3))) + 12 + rng.normal(0, 3, (24, 24))
        (place / str(label) / f"{i:02d}.png").write_bytes(vision.png(big.clip(0, 255).astype(np.uint8)))
    first = sorted(place.glob("*/*.png"))[0]
    (first.parent / "copy.png").write_bytes(vision.png(vision.decoded(first.read_bytes()) | 1))  # a near copy
    return place


@pytest.fixture(scope="module")
def two_generators(reals, tmp_path_factory):
    """A YAML file of two generators that the command trained."""
    place = tmp_path_factory.mktemp("generators")
    found = examples.read(str(reals))
    from synth.images.tiny import Tiny

    for name, widths in (("small", [8, 16]), ("wide", [16, 16])):
        (place / name).mkdir()
        Tiny.learn(found.images, found.labels, place / name, seed=0, size=24, channels=1, widths=widths, epochs=1)
    lines = [f"{name}: {{kind: tiny, model: {name}, steps: 4}}" for name in ("small", "wide")]
    (place / "generators.yaml").write_text("\n".join(lines), encoding="utf-8")
    return place / "generators.yaml"


def test_pairs_are_made_with_splits_that_leave_a_generator_out_a_card_and_an_audit(reals, two_generators, tmp_path):
    from datasets import load_dataset

    words = ["synth", "aigc", reals, "--generators", two_generators, "--out", tmp_path / "pairs", "--size", "24", "--grey"]
    words += ["--level", "0", "--level", "0.5", "--json"]
    done = subprocess.run([sys.executable, "-m", "sparring", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["pairs"], said["real"], said["generated"]) == (122, 61, {"small": 61, "wide": 61})
    assert said["configurations"] == ["without_small", "without_wide"]
    assert any("detector" in line for line in said["audit"])

    folder = str(tmp_path / "pairs")
    whole = load_dataset(folder, cache_dir=str(tmp_path / "cache"))
    rows = [row for part in whole.values() for row in part]
    assert len(rows) == 244
    assert {row["level"] for row in rows} == {0.0, 0.5}
    assert {(row["image"].format, row["image"].size) for row in rows} == {("JPEG", (24, 24))}
    names = whole["train"].features["generated"]
    assert all((names.int2str(row["generated"]) == "generated") == bool(row["generator"]) for row in rows)
    left = load_dataset(folder, "without_wide", cache_dir=str(tmp_path / "cache"))
    assert set(left["train"]["against"]) == {"small"}
    assert set(left["test"]["against"]) == {"wide"}
    assert not set(left["train"]["source"]) & set(left["test"]["source"])

    from sparring.media import IMAGES

    files = sorted({row["source"]: row["split"] for row in _sources(whole)}.items())
    found = examples.read(str(reals))
    groups = dict(zip(map(_digest, found.images), IMAGES.groups(found.images).tolist(), strict=True))
    sides = {groups[source]: set() for source, _ in files}
    for source, split in files:
        sides[groups[source]].add(split)
    assert len(sides) < 61, "no near copies: the test shows nothing"
    assert all(len(split) == 1 for split in sides.values()), "a near copy of a test image is trained on"
    card = (tmp_path / "pairs" / "README.md").read_text(encoding="utf-8")
    assert "| small |" in card
    assert "Shortcut audit" in card
    assert json.loads((tmp_path / "pairs" / "audit.json").read_text(encoding="utf-8"))["detector"] > 0


def _digest(image: bytes) -> str:
    from sparring.record import digest

    return digest(image.hex())


def _sources(whole) -> list[dict]:
    return [{"source": s, "split": name} for name, part in whole.items() for s in part["source"]]


def test_a_generator_that_leaves_an_artefact_is_found_by_the_audit_that_the_command_prints(reals, tmp_path):
    """`dummy` draws stamps on one exact tone, whatever the digit."""
    (tmp_path / "one.yaml").write_text("stamps: {kind: dummy, size: 24}", encoding="utf-8")
    words = ["synth", "aigc", reals, "--generators", tmp_path / "one.yaml", "--out", tmp_path / "pairs", "--size", "24"]
    words += ["--level", "0", "--codec", "png", "--most", "40"]
    done = subprocess.run([sys.executable, "-m", "sparring", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "shortcuts, which a detector would win by instead of content:" in done.stdout
    assert "exact values" in done.stdout
    assert "configurations           []" in done.stdout
    assert sorted(p.name for p in (tmp_path / "pairs" / "data").iterdir()) == ["stamps-train.parquet"]


def test_what_aigc_cannot_work_with_is_said_and_leaves_nothing(reals, tmp_path):
    def made(text: str, **options):
        (tmp_path / "g.yaml").write_text(text, encoding="utf-8")
        given = {"size": 24, "levels": [0.0], "codec": "jpeg"} | options
        return command.aigc(str(reals), tmp_path / "pairs", tmp_path / "g.yaml", {}, given, seed=0)

    with pytest.raises(UserError, match="expected names of letters, digits, _ and -, got 'a/b'"):
        made("a/b: {kind: dummy}")
    with pytest.raises(UserError, match=r"expected the key 'a\.kind'"):
        made("a: {model: x}")
    with pytest.raises(UserError, match="expected a image_model out of"):
        made("a: {kind: nothing}")
    with pytest.raises(UserError, match="out of png, jpeg, webp; got 'bmp'"):
        made("a: {kind: dummy, size: 24}", codec="bmp")
    assert [p.name for p in tmp_path.iterdir()] == ["g.yaml"]


def test_a_label_without_an_image_is_said(folder, tmp_path):
    (folder / "blank").mkdir()
    (folder / ".cache").mkdir()
    with pytest.raises(
        DataError, match=r"expected an image of each label, found none of 'blank' .*take its folder .*blank away"
    ):
        examples.read(str(folder))
    (folder / "blank" / "cut.png").write_bytes(SQUARES[0][:40])
    with pytest.raises(DataError, match="found none of 'blank' that can be read"):
        examples.read(str(folder))
    (folder / "blank" / "whole.png").write_bytes(SQUARES[0])
    assert set(examples.read(str(folder)).labels) == {"even", "odd", "blank"}
    rows = {"image": [{"bytes": data, "path": None} for data in (*SQUARES[:2], b"x")], "label": ["a", "a", "b"]}
    Dataset.from_dict(rows, features=Features({"image": Image(decode=False), "label": Value("string")})).to_parquet(
        str(tmp_path / "rows.parquet")
    )
    with pytest.raises(DataError, match=r"found none of 'b' that can be read.*take its rows away"):
        examples.read(str(tmp_path / "rows.parquet"))
