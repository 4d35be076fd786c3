"""The whole flow over images, small: every stage real."""

from __future__ import annotations

import io
import json
import pathlib

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sparring import generators, jobs, phash, provenance, record, vision
from sparring.errors import JobError

TINY = {"kind": "tiny", "train": {"size": 16, "widths": [8, 16], "epochs": 3}, "steps": 4}


def summary(folder: pathlib.Path) -> dict:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def published(folder: pathlib.Path) -> datasets.DatasetDict:
    return datasets.load_dataset(summary(folder)["dataset"]["path"], cache_dir=str(folder / "hf-cache"))


def test_images_are_attacked_mined_published_and_retrained_on(image_job, spar):
    folder = spar(image_job())
    found = summary(folder)
    first, last = found["rounds"]
    assert first["clean"]["f1"][0] > 0.6, "the target learned what the stamps show"
    assert first["asr_fresh"][3] > 0
    assert set(first["by_family"]) >= {"blur", "noise", "geometry"}
    assert last["promoted"] in (True, False)
    arms = {"ours", "same_data_new_seed", "random_operators", "without_mining", "adversarial_training", "ours_combined"}
    assert set(found["arms"]) == arms, "without a generator there is no arm of its images"
    rows = {name: arm["rows"] for name, arm in found["arms"].items()}
    assert rows["adversarial_training"] == rows["ours"] == rows["random_operators"]
    assert rows["ours_combined"] == 3 * rows["ours"]

    data = published(folder)
    assert isinstance(data["train"].features["image"], datasets.Image)
    rows = [row for part in data.values() for row in part]
    assert {row["image"].size for row in rows} == {(16, 16)}
    groups = [{row["group"] for row in part} for part in data.values()]
    assert not any(a & b for i, a in enumerate(groups) for b in groups[:i])
    made = [row for row in rows if row["origin"] == "synthetic"]
    assert made
    assert all(row["parent_ids"] and row["operators"] for row in made)
    assert all(row["text"] is None and row["language"] is None for row in rows)

    stored = datasets.load_dataset(str(folder / "round-01" / "dataset"), cache_dir=str(folder / "hf-cache"))
    files = [row for part in stored.cast_column("image", datasets.Image(decode=False)).values() for row in part]
    for row in files:
        data, real = row["image"]["bytes"], row["origin"] == "real"
        note = provenance.note_of(data)
        assert (note is None) == real
        if note:
            assert (note.record, note.generator, note.synthetic) == (row["id"], row["generator"]["name"], True)
            signed = provenance.manifest_of(data)
            assert (signed.state, signed.note, signed.source) == ("Valid", note, "algorithmicMedia")
    kept = {r.id: r for r in record.from_table(pq.read_table(folder / "round-00" / "attacks" / "test-00000.parquet"))}
    marked = [row for row in files if row["id"] in kept]
    assert marked, "no success was published: the test shows nothing"
    for row in marked:
        np.testing.assert_array_equal(vision.decoded(row["image"]["bytes"]), vision.decoded(kept[row["id"]].image))
    before = datasets.load_dataset(str(folder / "round-00" / "dataset"), cache_dir=str(folder / "hf-cache"))
    once = {row["id"]: row["content_hash"] for part in before.values() for row in part}
    assert once.items() <= {row["id"]: row["content_hash"] for row in files}.items(), "a file was signed anew"

    mined = pq.read_table(folder / "round-00" / "mined" / "data-00000.parquet").to_pylist()
    hashes = {row["id"]: row for row in mined if row["name"] == "perceptual_hash"}
    train = {row["id"]: row["image"]["bytes"] for row in files if row["origin"] == "real" and row["split"] == "train"}
    assert hashes.keys() == train.keys()
    some = sorted(train)[:5]
    assert [int(hashes[i]["detail"], 16) for i in some] == phash.phash([train[i] for i in some]).tolist()
    assert all(row["flagged"] == (row["value"] >= 1 - phash.NEAR / 64) for row in hashes.values())

    said = pq.read_table(folder / "round-00" / "hard_negatives" / "twins-00000.parquet").to_pylist()
    hard = record.from_table(pq.read_table(folder / "round-00" / "hard_negatives" / "part-00000.parquet"))
    assert 0 < len(said) == first["benign_twins"]["kept"]
    assert {r.id for r in hard if r.label_name == record.BENIGN} == {row["id"] for row in said if row["blocked"]}
    assert all(r.image for r in hard)
    assert first["unsteady"] == 0

    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 2 * min(1, len(made))
    assert "<script" not in page


def test_a_success_stands_after_what_an_upload_does_to_it(image_job, spar):
    from sparring.media import IMAGES
    from sparring.targets.image_net import ImageNet

    folder = spar(image_job(rounds=0))
    target = ImageNet.load(folder / "target")
    won = record.from_table(pq.read_table(folder / "round-00" / "attacks" / "test-00000.parquet"))
    assert won, "nothing was won: the test shows nothing"
    for row in won:
        p = target.predict_proba([row.image, IMAGES.flat(row.image)])
        assert (1 - p[:, 0] <= target.threshold + 1e-6).all()


def test_both_scores_of_a_success_and_the_fingerprint_of_each_image_stand_beside_the_rows(image_job, spar):
    from sparring.media import IMAGES
    from sparring.pixels import Pixels
    from sparring.targets.image_net import ImageNet

    folder = spar(image_job(rounds=0))
    place = summary(folder)["dataset"]["path"]
    target = ImageNet.load(folder / "target")
    rows = {row["id"]: row for split in stored(folder).values() for row in split}

    def table(name: str) -> list[dict]:
        return datasets.load_dataset(place, name, split="train", cache_dir=str(folder / "hf-cache")).to_list()

    told = {(row["id"], row["name"]): row for row in table("scores")}
    won = record.from_table(pq.read_table(folder / "round-00" / "attacks" / "test-00000.parquet"))
    assert won, "nothing was won: the test shows nothing"
    assert {id for id, _ in told} == {row.id for row in won}
    differ = 0
    for row in won:
        raw, flat = 1 - target.predict_proba([row.image, IMAGES.flat(row.image)])[:, 0]
        found = {name: told[row.id, name]["value"] for name in ("violation", "violation_flat", "violation_seed", "judge")}
        assert found["violation"] == pytest.approx(raw, abs=1e-5)
        assert found["violation_flat"] == pytest.approx(flat, abs=1e-5)
        assert max(raw, flat) <= target.threshold + 1e-6 < found["violation_seed"]
        assert told[row.id, "judge"]["by"] == "nets"
        differ += abs(raw - flat) > 1e-4
    assert differ, "both scores are the same: the test shows nothing"

    prints = {row["id"]: row for row in table("fingerprints")}
    assert prints.keys() == rows.keys()
    some = sorted(rows)[:5] + [row.id for row in won][:5]
    files = [rows[i]["image"]["bytes"] for i in some]
    assert [int(prints[i]["phash"], 16) for i in some] == phash.phash(files).tolist()
    np.testing.assert_allclose([prints[i]["embedding"] for i in some], Pixels().encode(files), atol=1e-6)
    assert {row["embedder"] for row in prints.values()} == {Pixels().name}
    assert 'title="the score after a blur, noise and JPEG"' in (folder / "report.html").read_text(encoding="utf-8")

    spar(image_job(rounds=0, provenance={"embeddings": False}))  # the same run: its rows are kept, its table is not
    without = pq.read_table(pathlib.Path(place) / "fingerprints" / "00000.parquet").to_pylist()
    assert {(row["id"], row["phash"]) for row in without} == {(i, row["phash"]) for i, row in prints.items()}
    assert all(row["embedding"] is None and row["embedder"] is None for row in without)


def stored(folder: pathlib.Path) -> datasets.DatasetDict:
    """The published dataset, images as the files that they are."""
    return published(folder).cast_column("image", datasets.Image(decode=False))


def test_a_generator_is_trained_in_the_run_on_training_rows_alone_and_draws_what_is_attacked(image_job, spar):
    path = image_job(synth={"model": TINY, "samples": 8}, retrain="none", attack={
        "strategy": {"kind": "guided", "strengths": [0.5], "unguided": 1, "guides": ["mlp"]}, "budget": 40,
        "train_seeds": 4, "test_seeds": 12, "payoff_seeds": 4,
    })  # fmt: skip
    folder = spar(path)
    found = summary(folder)
    assert found["rounds"][0]["queries_per_seed"] <= 40
    assert "diffusion" in found["rounds"][0]["by_family"]
    drawn = [row for shard in folder.glob("round-00/synth/raw-*.parquet") for row in pq.read_table(shard).to_pylist()]
    assert len(drawn) == 8
    assert all(row["split"] == "train" and row["generator"]["name"] == "tiny" for row in drawn)
    tried = record.from_table(pq.read_table(folder / "round-00" / "attacks" / "test-00000.parquet"))
    for row in tried:
        said = json.loads(row.generator.parameters)
        assert said["guided"]["unguided"] == 1
        assert said["seed"] == row.operators[0].seed
        assert Image.open(io.BytesIO(row.image)).size == (16, 16)
    about = json.loads((folder / "generator" / "tiny.json").read_text(encoding="utf-8"))
    train = pq.read_table(folder / "data" / "part-00000.parquet", columns=["split"])["split"].to_pylist().count("train")
    assert about["trained"]["images"] == train


def test_what_a_safety_checker_blacks_out_is_counted_and_no_sample(image_job, spar, monkeypatch):
    from sparring.protocols import Drawn
    from synth.images.dummy import Dummy

    drawn = Dummy.draw

    def draw(self, briefs, **given):
        made = drawn(self, briefs, **given)
        return [Drawn(None, one.parameters, "safety_checker") if i % 2 else one for i, one in enumerate(made)]

    monkeypatch.setattr(Dummy, "draw", draw)
    folder = spar(image_job(synth={"model": {"kind": "dummy", "size": 16}, "samples": 8}, retrain="none"))
    [entry] = summary(folder)["rounds"]
    raw = [row for shard in folder.glob("round-00/synth/raw-*.parquet") for row in pq.read_table(shard).to_pylist()]
    black = [row for row in raw if row["reason"] == "safety_checker"]
    assert entry["rejected"]["safety_checker"] == len(black) == 4
    assert all(row["image"] is None for row in black)
    ids = {row["id"] for part in published(folder).values() for row in part}
    assert not ids & {row["id"] for row in black}
    assert ids & {row["id"] for row in raw if not row["reason"]}


def test_another_run_of_the_folder_draws_nothing_that_is_there(image_job, spar, monkeypatch):
    from synth.images.dummy import Dummy

    render, drawn = Dummy.render, []

    def counted(self, briefs, wrap):
        drawn.extend(brief.seed for brief in briefs)
        return render(self, briefs, wrap)

    monkeypatch.setattr(Dummy, "render", counted)
    settings = {"synth": {"model": {"kind": "dummy", "size": 16}, "samples": 8}, "retrain": "none"}
    folders = [spar(image_job(name=name, **settings)) for name in ("one", "two")]
    assert len(drawn) == 8
    one, two = ([row["image"] for row in pq.read_table(f / "round-00/synth/raw-00000.parquet").to_pylist()] for f in folders)
    assert one == two


def test_the_same_job_twice_gives_the_same_rows(image_job, spar, tmp_path):
    ids = []
    for place in ("a", "b"):
        folder = spar(image_job(rounds=0, runs=str(tmp_path / place)))
        ids.append(sorted(row["id"] for part in published(folder).values() for row in part))
    assert ids[0] == ids[1]


def test_faulty_images_are_set_apart_with_their_reason(image_job, tmp_path):
    import pyarrow as pa

    from sparring import data, policy

    job = jobs.load(image_job())
    table = pq.read_table(tmp_path / "stamps.parquet").to_pylist()
    table[3]["image"]["bytes"] = b"no image"
    table[5]["image"] = None
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "stamps.parquet")
    corpus = data.load(job.data, policy.load(tmp_path / "policy.yaml"), base=tmp_path, seed=0)
    assert [(r.row, r.reason) for r in corpus.rejected] == [(4, "no image that can be read"), (6, "no image")]
    assert len(corpus.records) == len(table) - 2
    again = data.load(job.data, policy.load(tmp_path / "policy.yaml"), base=tmp_path, seed=0)
    assert [r.id for r in again.records] == [r.id for r in corpus.records]


def test_what_an_image_job_lacks_is_said_before_any_work(image_job, spar):
    with pytest.raises(JobError, match="draws with a generator of images, and the job names none"):
        spar(image_job(attack={"strategy": {"kind": "guided"}}))
    with pytest.raises(JobError, match="expected a image_attack out of corrupt, guided"):
        spar(image_job(attack={"strategy": {"kind": "greedy"}}))


def test_a_job_without_a_generator_of_images_cannot_be_given_one(image_job):
    from types import SimpleNamespace

    job = jobs.load(image_job())
    with pytest.raises(JobError, match=r"synth\.model"):
        generators.image_model(SimpleNamespace(job=job))


def test_groups_of_images_are_near_copies_and_no_more(image_job, tmp_path):
    from sparring import vision
    from sparring.media import IMAGES

    files = [row["image"]["bytes"] for row in pq.read_table(tmp_path / "stamps.parquet").to_pylist()[:60]]
    pixels = vision.pixels(files[:1], size=16, channels=1)[0]
    found = IMAGES.groups([*files, vision.png(pixels, {"note": "a copy"}), vision.png(np.clip(pixels + 1, 0, 255))])
    assert found[60] == found[0] == found[61]
    assert len(set(found[:60].tolist())) >= 58


def test_no_ancestor_of_a_test_image_stands_in_train_and_no_near_copy_of_one(image_job, spar):
    from sparring.media import IMAGES

    folder = spar(image_job(rounds=1, synth={"model": TINY, "samples": 6}, attack={
        "strategy": {"kind": "corrupt"}, "budget": 30, "train_seeds": 16, "test_seeds": 16, "payoff_seeds": 4,
    }))  # fmt: skip
    rows = {row["id"]: (split, row) for split, part in published(folder).items() for row in part}
    arms = summary(folder)["arms"]
    drawn = [row for shard in folder.glob("round-01/synth/raw-*.parquet") for row in pq.read_table(shard).to_pylist()]
    assert len(drawn) > 0
    assert arms["plain_generation"]["rows"] == sum(not row["reason"] for row in drawn)
    assert not {row["id"] for row in drawn} & rows.keys(), "what a control arm draws is no row of the dataset"
    made = [(split, row) for split, row in rows.values() if row["origin"] == "synthetic"]
    assert {split for split, _ in made} >= {"train", "test"}, "nothing was made of one side: the test shows nothing"
    for split, row in made:
        assert all(rows[i][0] == split for i in {*row["parent_ids"], *row["root_ids"]} if i in rows), row["id"]
    real = [(split, row) for split, row in rows.values() if row["origin"] == "real"]
    groups = IMAGES.groups([_file(row["image"]) for _, row in real]).tolist()
    sides: dict[int, set[str]] = {}
    for group, (split, _) in zip(groups, real, strict=True):
        sides.setdefault(group, set()).add(split)
    assert all(len(found) == 1 for found in sides.values())


def _file(picture: Image.Image) -> bytes:
    return vision.png(np.asarray(picture))


def test_a_signer_of_ones_own_is_checked_before_any_work(image_job, tmp_path):
    from sparring import check, signer
    from sparring.errors import DataError, ReferenceNotFound

    mine = signer.unvouched()
    (tmp_path / "chain.pem").write_text(mine.chain, encoding="ascii")
    (tmp_path / "key.pem").write_text(mine.key, encoding="ascii")
    check.inputs(jobs.load(image_job(provenance={"chain": "chain.pem", "key": "key.pem"})))
    with pytest.raises(DataError, match=r"chain\.pem: expected PEM with a private key"):
        check.inputs(jobs.load(image_job(provenance={"chain": "chain.pem", "key": "chain.pem"})))
    with pytest.raises(ReferenceNotFound, match=r"none\.pem"):
        check.inputs(jobs.load(image_job(provenance={"chain": "none.pem", "key": "key.pem"})))
    with pytest.raises(JobError, match="`chain` and `key` together"):
        jobs.load(image_job(provenance={"key": "key.pem"}))
    assert mine.key not in repr(mine)
