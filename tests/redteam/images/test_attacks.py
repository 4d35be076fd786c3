"""What every registered attack on images promises: its budget, an honest count, independence of the window."""

from __future__ import annotations

import copy
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redteam import engine
from redteam.engine import Seed
from redteam.images.attack import GuidedDiffusion
from sparring import registry, vision
from sparring.media import IMAGES
from sparring.protocols import Brief, Drawn, Verdict, violation_scores
from synth.images.dummy import Dummy
from synth.images.flyer import Flyer
from synth.images.tiny import Tiny

LETTERS = "OLXTXC"
LABELS = ("benign", "withdrawn")


class Counted:
    """A target that counts what it is asked for: rows of files, and distinct rows of gradients, since a generator may repeat
    rows to fill a batch up, and what is repeated tells nothing."""

    gradients = True

    def __init__(self, inner):
        self.inner, self.labels, self.threshold, self.files, self.slopes = inner, inner.labels, inner.threshold, 0, 0

    def predict_proba(self, samples):
        self.files += len(samples)
        return self.inner.predict_proba(samples)

    def logits(self, images):
        self.slopes += len(np.unique(images.detach().flatten(1).numpy(), axis=0))
        return self.inner.logits(images)


class Agrees:
    def assess(self, seeds, samples, labels):
        return [Verdict(True, 1.0)] * len(samples)


@pytest.fixture(scope="session")
def stamps():
    drawn = Dummy(size=16).draw([Brief(LETTERS[i % 6], i) for i in range(240)])
    return [d.image for d in drawn], ["withdrawn" if LETTERS[i % 6] == "X" else "benign" for i in range(240)]


@pytest.fixture(scope="session", params=registry.names("image_attack"))
def part(request):
    return request.param


@pytest.fixture(scope="session")
def trained(stamps):
    made = registry.make("image_target", "net", architecture="cnn", size=16, augment="none", epochs=8)
    fitted = made.fit(*stamps, names=LABELS, seed=0)
    fitted.threshold = 0.3
    return fitted


@pytest.fixture(scope="session")
def generator(stamps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generator")
    Tiny.learn(*stamps, folder, seed=0, size=16, channels=1, widths=[8, 16], epochs=1)
    return Tiny(model=str(folder), steps=4)


@pytest.fixture(scope="session")
def flyers():
    """Files with words that can be read, for an attack that sets text anew."""
    made = Flyer(size=200, tricks=("none",), qr=0.0, contrast=(0.8, 1.0))
    return made, [d.image for d in made.draw([Brief("withdrawn", i, prompt="WIN A FREE PRIZE NOW") for i in range(24)])]


@pytest.fixture(scope="session")
def net(request, part, stamps, trained):
    """The trained net; where flyers are attacked, at a threshold that lets a third of them pass."""
    made = copy.copy(trained)
    if part == "redraw":
        made.threshold = float(np.quantile(violation_scores(made, request.getfixturevalue("flyers")[1]), 1 / 3))
    return made


@pytest.fixture(scope="session")
def seeds(request, part, stamps, net):
    """Files that the target catches, from barely to surely."""
    files = [f for f, label in zip(*stamps, strict=True) if label == "withdrawn"]
    files = request.getfixturevalue("flyers")[1] if part == "redraw" else files
    scores = violation_scores(net, files)
    order = [int(i) for i in np.argsort(scores) if scores[i] > net.threshold]
    assert len(order) >= 6
    return [Seed(str(i), files[i], "withdrawn") for i in order[:6]]


@pytest.fixture(scope="session")
def strategy(request, part, generator):
    operators = {n: registry.make("image_operator", n) for n in ("blur", "gaussian_noise", "contrast", "affine")}
    model = request.getfixturevalue("flyers")[0] if part == "redraw" else generator
    offers = {"operators": operators, "image_model": model}
    return registry.make("image_attack", part, **registry.offered("image_attack", part, offers))


def run(strategy, target, seeds, budget, **options):
    return engine.attack(strategy, target, seeds, Agrees(), budget=budget, medium=IMAGES, **options)


@settings(max_examples=settings.default.max_examples // 8)
@given(budget=st.integers(1, 24), one=st.integers(0, 5), seed=st.integers(0, 99))
def test_no_budget_is_exceeded_and_every_score_and_gradient_counts(strategy, net, seeds, budget, one, seed):
    """One seed alone, so that every row that the target saw is its own."""
    counted = Counted(net)
    (outcome,) = run(strategy, counted, seeds[one : one + 1], budget, seed=seed)
    assert outcome.queries <= budget
    assert outcome.queries == counted.files + counted.slopes, "the count is not what the target was asked for"
    assert counted.files >= 1


def test_the_count_is_exact_where_all_that_is_promised_is_used(strategy, net, seeds):
    counted = Counted(net)
    outcomes = run(strategy, counted, seeds, 20)
    assert sum(o.queries for o in outcomes) == counted.files + counted.slopes
    if strategy.gradients:
        assert counted.slopes > 0, "it drew without guidance: the test shows nothing"


def test_results_do_not_depend_on_the_window(strategy, net, seeds):
    narrow, wide = (run(strategy, net, seeds, 20, window=window) for window in (1, 64))
    for a, b in zip(narrow, wide, strict=True):
        assert (a.status, a.queries, a.evaded, len(a.rejected)) == (b.status, b.queries, b.evaded, len(b.rejected))
        assert (a.sample is None) == (b.sample is None)
        if a.sample and b.sample:
            assert a.sample.steps == b.sample.steps
            np.testing.assert_array_equal(vision.decoded(a.sample.text), vision.decoded(b.sample.text))


def test_a_success_has_its_seeds_size_and_is_missed_raw_and_as_an_upload(strategy, net, seeds):
    outcomes = run(strategy, net, seeds, 60)
    won = [o for o in outcomes if o.status == "success"]
    assert won, "nothing was won: the test shows nothing"
    for outcome in won:
        image = outcome.sample.text
        assert vision.opened(image).size == vision.opened(outcome.seed.text).size
        assert (violation_scores(net, [image, IMAGES.flat(image)]) <= net.threshold).all()
        assert outcome.sample.steps
        assert image != outcome.seed.text


def test_the_same_seed_gives_the_same_outcome(strategy, net, seeds):
    first, second = (run(strategy, net, seeds[:2], 16, seed=5) for _ in range(2))
    assert [(o.status, o.queries, o.sample) for o in first] == [(o.status, o.queries, o.sample) for o in second]


def test_a_black_image_of_a_safety_checker_is_tried_again_by_other_noise_and_not_for_ever():
    class Canvas:
        guidable, steps = True, 4

    search = GuidedDiffusion(image_model=Canvas()).search(Seed("a", b"file", "high"), 0.9, 0.5, Random(0))
    asked = [next(search).brief]
    for _ in range(3):
        asked.append(search.send(Drawn(None, "{}", "safety_checker")).brief)
    assert len({brief.seed for brief in asked}) == 4
    with pytest.raises(StopIteration):
        search.send(Drawn(None, "{}", "safety_checker"))
