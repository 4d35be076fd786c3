from __future__ import annotations

import io
from random import Random

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from sparring import registry, vision
from sparring.errors import JobError
from sparring.protocols import Brief, Drawn
from synth.images import aigc, shortcuts

SIZE = 32


def scanned(noise: float) -> list[bytes]:
    """Digits as a scanner gives them: soft, on a grey that is not quite black, with or without the noise of a sensor."""
    rng, files = np.random.default_rng(0), []
    for digit in load_digits().images[:200]:
        big = Image.fromarray((digit * 14).astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        files.append(vision.png((np.asarray(big, float) + 12 + rng.normal(0, noise, big.size)).clip(0, 255).astype(np.uint8)))
    return files


@pytest.fixture(scope="module")
def digits() -> tuple[list[bytes], list[str]]:
    return scanned(3), [str(d) for d in load_digits().target[:200]]


def through(name: str, strength: float):
    """A generator that bends its start: the content stays, no artefact of a file comes in."""
    op = registry.make("image_operator", name)

    def draw(briefs: list[Brief]) -> list[Drawn]:
        return [Drawn(op.apply(b.start, strength=strength, rng=Random(b.seed)), '{"op": "' + name + '"}') for b in briefs]

    return draw


class Posterised:
    """A generator of the kind that `ImageModel` is, whose background is exactly black: an artefact."""

    def describe(self) -> dict:
        return {"name": "posterised"}

    def draw(self, briefs: list[Brief]) -> list[Drawn]:
        values = [vision.decoded(b.start).astype(int) for b in briefs]
        return [Drawn(vision.png(np.where(v < 40, 0, v).astype(np.uint8))) for v in values]


def audited(found: aigc.Pairs) -> shortcuts.Audit:
    samples = found.samples
    return shortcuts.audit([s.image for s in samples], found.generated(), [s.source for s in samples], size=SIZE, epochs=5)


def test_both_sides_of_a_pair_have_one_label_size_codec_and_processing(digits):
    files, labels = digits
    generators = {"bent": through("elastic", 0.5), "posterised": Posterised()}
    found = aigc.pairs(files[:30], labels[:30], generators, size=24, levels=[0.0, 0.5], codec="webp", quality=80)
    assert len(found.samples) == 2 * 2 * 30
    assert not found.failed
    for real, made in zip(found.samples[::2], found.samples[1::2], strict=True):
        assert (real.generator, made.generator) == ("", made.against)
        assert [getattr(real, f) for f in ("pair", "source", "label", "level", "against")] == [
            getattr(made, f) for f in ("pair", "source", "label", "level", "against")
        ]
        one, two = (Image.open(io.BytesIO(s.image)) for s in (real, made))
        assert (one.format, one.mode, one.size) == (two.format, two.mode, two.size) == ("WEBP", "RGB", (24, 24))
    assert {s.level for s in found.samples} == {0.0, 0.5}
    assert len({s.id for s in found.samples}) == 120
    table = found.table()
    assert table.column("generated").to_pylist() == [False, True] * 60
    assert table.column("level").to_pylist() == [s.level for s in found.samples]


def test_the_same_processing_means_the_same_pixels_for_a_generator_that_changes_nothing(digits):
    files, labels = digits
    copy = {"copy": lambda briefs: [Drawn(b.start) for b in briefs]}
    found = aigc.pairs(files[:20], labels[:20], copy, size=24, levels=[1.0])
    assert all(a.image == b.image for a, b in zip(found.samples[::2], found.samples[1::2], strict=True))
    assert [s.image for s in found.samples] != [s.image for s in aigc.pairs(files[:20], labels[:20], copy, size=24).samples]
    again = aigc.pairs(files[5:6], labels[5:6], copy, size=24, levels=[1.0])
    assert again.samples == found.samples[10:12]


def test_what_a_generator_refuses_is_counted(digits):
    files, labels = digits

    def half(briefs):
        return [Drawn(None, reason="safety_checker") if i % 2 else Drawn(b.start) for i, b in enumerate(briefs)]

    found = aigc.pairs(files[:10], labels[:10], {"shy": half}, size=16)
    assert len(found.samples) == 10
    assert found.failed == {"shy: safety_checker": 5}


def test_leaving_one_generator_out_leaves_its_images_and_the_tested_sources_out(digits):
    files, labels = digits
    generators = {"a": through("elastic", 0.4), "b": through("affine", 0.4), "c": Posterised()}
    found = aigc.pairs(files[:40], labels[:40], generators, size=16)
    splits = aigc.leave_one_out(found)
    assert [s.held_out for s in splits] == ["a", "b", "c"]
    for split in splits:
        train, test = ([found.samples[i] for i in rows] for rows in (split.train, split.test))
        assert {s.against for s in test} == {split.held_out}
        assert split.held_out not in {s.against for s in train} | {s.generator for s in train}
        assert not {s.source for s in train} & {s.source for s in test}
        assert (len(train), len(test)) == (2 * 2 * 28, 2 * 12)
    with pytest.raises(JobError, match=r"expected two generators or more to leave one out, got \['a'\]"):
        aigc.leave_one_out(aigc.pairs(files[:5], labels[:5], {"a": Posterised()}, size=16))


@pytest.mark.parametrize("generator", ["elastic", "affine"])
def test_a_clean_set_is_not_accused(digits, generator):
    """Both resample their start, so sensor noise is a little less on one side: no artefact of files."""
    found = audited(aigc.pairs(*digits, {"bent": through(generator, 0.8)}, size=SIZE))
    assert not found
    assert found.found == {}
    assert max(found.facts.values()) < 0.8


def test_real_images_against_others_of_the_same_kind_are_not_accused(digits):
    files, _ = digits
    found = shortcuts.audit(files, np.arange(len(files)) % 2 == 0, [str(i) for i in range(len(files))], size=SIZE, epochs=5)
    assert not found
    assert 0.3 < found.detector < 0.7


def test_exact_zeros_are_found(digits):
    found = audited(aigc.pairs(*digits, {"posterised": Posterised()}, size=SIZE, levels=[0.0], codec="png"))
    assert found.facts["exact values"] > 0.95
    assert "exact values" in found.found
    assert found.facts["size"] == found.facts["format"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("planted", ["format", "size", "metadata", "encoder"])
def test_a_planted_fact_of_the_file_is_named(digits, planted):
    def spoilt(image: bytes) -> bytes:
        pixels = vision.decoded(image)
        if planted == "size":
            return vision.png(pixels[1:])
        if planted == "metadata":
            return vision.png(pixels, {"made by": "a generator"})
        return aigc.written(pixels, "jpeg", 60)  # "format", "encoder"

    real = [aigc.written(vision.decoded(f), "jpeg", 90) if planted == "encoder" else f for f in digits[0]]
    made = [spoilt(f) for f in digits[0]]
    groups = [str(i) for i in range(len(real))] * 2
    found = shortcuts.audit(real + made, [False] * len(real) + [True] * len(made), groups, size=SIZE, epochs=1)
    assert found
    assert found.facts[planted] > 0.99
    assert planted in found.found


def test_a_detector_that_lives_on_noise_is_found_by_jpeg():
    """Real images hold the noise of a sensor, generated ones none: JPEG takes it, and with it the detector's only cue."""
    real, made = scanned(2), scanned(0)
    groups = [str(i) for i in range(len(real))] * 2
    found = shortcuts.audit(real + made, [False] * len(real) + [True] * len(made), groups, size=SIZE, epochs=5)
    assert found.detector > 0.9
    assert found.processed["jpeg"] < found.detector - 0.2
    assert "jpeg" in found.found
    assert found.facts["bytes"] == found.facts["format"] == 0.5


def test_too_little_to_say_anything_is_said(digits):
    with pytest.raises(
        JobError, match="expected 40 images or more, half of them generated, in 5 groups or more; got 10 images"
    ):
        shortcuts.audit(digits[0][:10], [True] * 5 + [False] * 5, ["a"] * 10)
    with pytest.raises(JobError, match=r"at least one named generator; got 1 images, 1 labels and \[\]"):
        aigc.pairs(digits[0][:1], ["1"], {}, size=8)
    with pytest.raises(JobError, match="expected a codec out of png, jpeg, webp; got 'gif'"):
        aigc.pairs(digits[0][:1], ["1"], {"a": Posterised()}, size=8, codec="gif")
