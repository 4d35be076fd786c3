"""What the judge of images by networks promises, on drawn stamps."""

from __future__ import annotations

import numpy as np
import pytest

from redteam.judges.criteria import Rows
from sparring import registry
from sparring.protocols import Brief
from synth.images.dummy import Dummy

SETTINGS = {"architectures": ["cnn"], "size": 16, "epochs": 15, "max_fpr": 0.1}


def stamps(first: int, n: int) -> tuple[list[bytes], list[str]]:
    letters = ["OLXTXC"[i % 6] for i in range(first, first + n)]
    drawn = Dummy(size=16).draw([Brief(letter, i) for i, letter in enumerate(letters, first)])
    return [d.image for d in drawn], ["withdrawn" if letter == "X" else "benign" for letter in letters]


@pytest.fixture(scope="module")
def judge():
    return registry.make("image_judge", "nets", **SETTINGS).fit(*stamps(0, 480))


def test_each_sample_gets_one_verdict_by_itself_with_a_known_reason(judge):
    images, _ = stamps(1000, 30)
    asked = ["withdrawn"] * 30
    found = judge.assess([b""] * 30, images, asked)
    assert len(found) == 30
    assert {v.reason for v in found} == {"", *judge.names}, "one side is missing: the test shows little"
    assert all((v.reason == "") == v.valid and 0 <= v.score <= 1 for v in found)
    backwards = judge.assess([b""] * 30, images[::-1], asked)[::-1]
    assert [v.valid for v in backwards] == [v.valid for v in found]
    np.testing.assert_allclose([v.score for v in backwards], [v.score for v in found], atol=1e-5)
    (alone,) = judge.assess([b""], images[:1], asked[:1])
    assert alone.score == pytest.approx(found[0].score, abs=1e-5)
    assert judge.assess([], [], []) == []


def test_it_tells_what_it_was_taught_on_rows_that_it_never_saw(judge):
    images, labels = stamps(1000, 60)
    valid = np.array([v.valid for v in judge.judge(Rows([b""] * 60, images, ["withdrawn"] * 60))])
    truth = np.array(labels) == "withdrawn"
    assert valid[truth].mean() > 0.5
    assert valid[~truth].mean() < 0.35


def test_the_same_rows_and_seed_make_the_same_judge(judge):
    again = registry.make("image_judge", "nets", **SETTINGS).fit(*stamps(0, 480))
    images, _ = stamps(1000, 12)
    assert again.thresholds == judge.thresholds
    assert again.judge(Rows([b""] * 12, images, ["withdrawn"] * 12)) == judge.judge(
        Rows([b""] * 12, images, ["withdrawn"] * 12)
    )


def test_networks_that_disagree_let_a_sample_fall_and_every_judge_names_its_reasons(judge):
    both = registry.make("image_judge", "nets", **SETTINGS | {"architectures": ["cnn", "mlp"]}).fit(*stamps(0, 480))
    images, _ = stamps(1000, 30)
    asked = ["withdrawn"] * 30
    parts = np.stack([net.predict_proba(images)[:, both.labels.index("withdrawn")] for net in both.nets])
    np.testing.assert_allclose(both.scores(images, asked), parts.min(0), atol=1e-6)
    for name in registry.names("image_judge"):
        if name != "all":  # which has those of its criteria
            assert registry.find("image_judge", name).names
    joined = registry.make("image_judge", "all", criteria=[both])
    assert joined.names == both.names
