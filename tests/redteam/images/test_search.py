from __future__ import annotations

import numpy as np
import pytest

from redteam.images.search import Search, margins_of
from sparring import registry, vision
from sparring.errors import JobError
from sparring.protocols import Brief, Drawn

BRIEFS = [Brief("stamp", i) for i in range(12)]


class Ink:
    """Decides `stamp` where there is much ink; counts what it is asked."""

    labels = ("benign", "stamp")
    threshold = 0.5

    def __init__(self, edge: float):
        self.edge, self.asked = edge, 0

    def predict_proba(self, samples):
        self.asked += len(samples)
        ink = vision.pixels(samples, size=32, channels=1).mean((1, 2, 3))
        p = 1 / (1 + np.exp(-(ink - self.edge) / 4))
        return np.stack([1 - p, p], 1).astype(np.float32)


@pytest.fixture
def model():
    return registry.make("image_model", "dummy", size=32)


@pytest.mark.parametrize("kind", ["benign", "away"])
def test_more_draws_come_nearer_and_are_counted(model, kind):
    margins = []
    for budget in (1, 4, 12):
        target = Ink(18.0)
        found = Search(budget=budget, noises=min(4, budget), margin=kind)(model, target, BRIEFS)
        assert target.asked == sum(f.queries for f in found) <= budget * len(BRIEFS)
        assert all(f.queries == budget for f in found if f.margin <= 0), "spent where it found nothing"
        assert [f.margin for f in found] == pytest.approx(
            margins_of(Ink(18.0), [f.drawn.image for f in found], ["stamp"] * len(found), kind)
        )
        assert all(model.draw([f.brief])[0] == f.drawn for f in found), "the brief that it gives makes the image again"
        margins.append(np.mean([f.margin for f in found]))
    assert margins[0] < margins[1] < margins[2]


def test_what_is_found_depends_on_the_brief_alone_and_a_success_ends_it(model):
    search = Search(budget=6, noises=3)
    whole = search(model, Ink(25.0), BRIEFS)
    assert [search(model, Ink(25.0), [b])[0] for b in BRIEFS[:3]] == whole[:3]
    assert any(f.queries < 6 for f in whole)
    assert all(f.margin > 0 for f in whole if f.queries < 6)


def test_prompts_are_tried_in_turn_and_a_judge_may_veto(model):
    tried = Search(budget=2, noises=2, prompts=("{}", "{} {}"), past=1e9)(model, Ink(20.0), BRIEFS)
    assert {f.brief.prompt for f in tried} == {"", "stamp stamp"}

    class Wide(Ink):
        """Sees a stamp only in the first kind of prompt, whose letters are large."""

        def predict_proba(self, samples):
            most = vision.pixels(samples, size=32, channels=1).mean((1, 2, 3))
            p = np.where(most > 30, 1.0, 0.0)
            return np.stack([1 - p, p], 1).astype(np.float32)

    judged = Search(budget=8, noises=8, judge_weight=100.0, past=1e9)(model, Ink(20.0), BRIEFS, judges=[Wide(0)])
    plain = Search(budget=8, noises=8, past=1e9)(model, Ink(20.0), BRIEFS)
    ink = [vision.pixels([f.drawn.image for f in found], size=32, channels=1).mean() for found in (judged, plain)]
    assert ink[0] > ink[1]


def test_a_model_that_gives_no_image_is_told_and_costs_nothing():
    class Black:
        def describe(self):
            return {}

        def draw(self, briefs):
            return [Drawn(None, reason="safety_checker") for _ in briefs]

    target = Ink(20.0)
    found = Search(budget=3, noises=2)(Black(), target, BRIEFS)
    assert target.asked == 0
    assert {(f.drawn.reason, f.margin, f.queries) for f in found} == {("safety_checker", -np.inf, 0)}
    with pytest.raises(JobError, match="1 <= noises <= budget"):
        Search(budget=2)
