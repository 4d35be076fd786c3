from __future__ import annotations

import itertools

import diffusers
import numpy as np
import pytest
import torch

from redteam.images.guided import Guided, estimate, margin, steered
from sparring.errors import JobError
from sparring.protocols import Brief

BRIEFS = [Brief("one", i) for i in range(6)]


class Bright:
    """Says "two" of what is bright: its logits are linear in the mean of the pixels."""

    labels = ("one", "two")
    threshold = 0.5

    def __init__(self, sign: float = 1.0):
        self.sign = sign

    def logits(self, images):
        mean = images.mean((1, 2, 3)) * self.sign
        return torch.stack([-20 * mean + 10, 20 * mean - 10], 1)


SCHEDULERS = [
    ("FlowMatchEulerDiscreteScheduler", {}),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
    *[(name, {"prediction_type": kind}) for name in
      ("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "DDIMScheduler", "DPMSolverMultistepScheduler",
       "UniPCMultistepScheduler", "DDPMScheduler", "HeunDiscreteScheduler")
      for kind in ("epsilon", "v_prediction", "sample")
      if (name, kind) not in {("EulerAncestralDiscreteScheduler", "sample"), ("HeunDiscreteScheduler", "sample")}],
    ("DPMSolverMultistepScheduler", {"prediction_type": "flow_prediction", "use_flow_sigmas": True}),
    ("UniPCMultistepScheduler", {"prediction_type": "flow_prediction", "use_flow_sigmas": True}),
]  # fmt: skip


def perfect(scheduler, clean, noise, t):
    """The sample at this step, and the prediction of a net that knows the clean image."""
    kind = getattr(scheduler.config, "prediction_type", "flow_prediction")
    name = type(scheduler).__name__
    if "Flow" in name or kind == "flow_prediction":
        s = scheduler.sigmas[scheduler.step_index]
        return (1 - s) * clean + s * noise, noise - clean
    if name.startswith(("Euler", "Heun")):
        s = scheduler.sigmas[scheduler.step_index]
        sample, signal, level = clean + s * noise, 1 / (s**2 + 1) ** 0.5, s / (s**2 + 1) ** 0.5
    else:
        a = scheduler.alphas_cumprod[int(t)]
        if hasattr(scheduler, "sigmas"):
            s = scheduler.sigmas[scheduler.step_index]
            a = 1 / (s**2 + 1)
        signal, level = a**0.5, (1 - a) ** 0.5
        sample = signal * clean + level * noise
    return sample, {"epsilon": noise, "sample": clean, "v_prediction": signal * noise - level * clean}[kind]


@pytest.mark.parametrize(("name", "settings"), SCHEDULERS, ids=str)
def test_a_perfect_prediction_gives_the_clean_image_in_every_kind_of_scheduler(name, settings):
    scheduler = getattr(diffusers, name)(**settings)
    scheduler.set_timesteps(7)
    rng = torch.Generator().manual_seed(0)
    clean, noise = torch.rand(2, 2, 1, 4, 4, generator=rng)
    for t in (scheduler.timesteps[2],):
        if hasattr(scheduler, "step_index"):
            scheduler._init_step_index(t)
        sample, prediction = perfect(scheduler, clean, noise, t)
        a, b = estimate(scheduler, t)
        assert torch.allclose(a * sample + b * prediction, clean, atol=1e-4)


@pytest.mark.parametrize(("name", "settings"), [s for s in SCHEDULERS if "Euler" in s[0] or "DD" in s[0]], ids=str)
def test_the_estimate_is_the_scheduler_s_own(name, settings):
    scheduler = getattr(diffusers, name)(**settings, **({"clip_sample": False} if "DD" in name else {}))
    scheduler.set_timesteps(7)
    sample, prediction = torch.randn(2, 2, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    t = scheduler.timesteps[3]
    if hasattr(scheduler, "scale_model_input"):
        scheduler.scale_model_input(sample, t)
    if hasattr(scheduler, "step_index"):
        scheduler._init_step_index(t)
    a, b = estimate(scheduler, t)
    found = a * sample + b * prediction
    own = scheduler.step(prediction, t, sample, generator=torch.Generator().manual_seed(0))
    if "Flow" in name:
        sigma = scheduler.sigmas[3]
        assert torch.allclose(own.prev_sample, sample + (scheduler.sigmas[4] - sigma) * prediction, atol=1e-5)
        assert torch.allclose(found, sample - sigma * prediction, atol=1e-5)
    else:
        assert torch.allclose(found, own.pred_original_sample, atol=1e-4)


def walk(scheduler, guided: Guided | None, steps: int = 8, briefs=BRIEFS):
    """What a pipeline does, with a net that always predicts no flow: the noise stays where it is not moved."""
    scheduler.set_timesteps(steps)
    noise = torch.stack([torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(b.seed)) for b in briefs])
    held = guided.wrap(briefs, scheduler, lambda x: (x / 2 + 0.5).clamp(0, 1)) if guided else scheduler
    x, seen = noise, []
    for t in held.timesteps:
        seen.append(x)
        x = held.step(torch.zeros_like(x), t, x, return_dict=False)[0]
    return x, seen


def test_the_estimate_moves_by_the_strength_and_towards_the_target_s_mistake():
    flow = diffusers.FlowMatchEulerDiscreteScheduler
    plain, _ = walk(flow(), None)
    moved, seen = walk(flow(), Guided(targets=[Bright()], strength=0.2))
    assert (moved.mean((1, 2, 3)) > plain.mean((1, 2, 3))).all()
    scheduler = flow()
    scheduler.set_timesteps(8)
    share = 1 - scheduler.sigmas[1] / scheduler.sigmas[0]  # of the move that the first step makes
    first = (seen[1] - seen[0]).square().mean((1, 2, 3)).sqrt()
    assert torch.allclose(first, 0.2 * share.expand(6), atol=1e-5)
    still, _ = walk(flow(), Guided(targets=[Bright()], strength=0.0))
    assert torch.allclose(still, plain, atol=1e-6)


class Bend(Bright):
    """Says "two" up a path that bends away from where its gradient first points."""

    def logits(self, images):
        x, y = images[:, 0, 0, 0], images[:, 0, 0, 1]
        climbed = y - 50 * (x - y**2) ** 2
        return torch.stack([-climbed, climbed], 1)


def test_several_gradients_a_step_climb_higher_by_the_same_strength():
    found = []
    for moves in (1, 8):
        scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
        scheduler.set_timesteps(1)
        held = Guided(targets=[Bend()], clamp=99, strength=0.5, moves=moves).wrap(BRIEFS[:1], scheduler, lambda x: x)
        start = torch.zeros(1, 1, 1, 2)
        end = held.step(torch.zeros_like(start), held.timesteps[0], start, return_dict=False)[0]
        assert end.square().mean().sqrt() <= 0.5 + 1e-6, "they share the strength"
        found.append(float(margin(Bend().logits(end), torch.tensor([0]), "away", 0.5)))
    assert found[1] > found[0] + 1


def test_what_targets_miss_and_judges_are_sure_of_is_left_as_it_is():
    flow, light = (
        diffusers.FlowMatchEulerDiscreteScheduler,
        Guided(targets=[Bright()], judges=[Bright(-1)], clamp=-50, sure=0.01),
    )
    plain, _ = walk(flow(), None)
    left, _ = walk(flow(), light)
    assert torch.equal(left, plain)
    moved, _ = walk(flow(), Guided(targets=[Bright()], judges=[Bright(-1)], clamp=-50, sure=1.0))
    assert (moved != plain).any(), "a judge that is less than sure pulls"


def test_a_sample_is_moved_alike_in_every_batch_and_the_scheduler_given_is_left_as_it_was():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    guided = Guided(targets=[Bright()], strength=0.2)
    whole, _ = walk(scheduler, guided)
    assert "step" not in vars(scheduler)
    alone, _ = walk(scheduler, guided, briefs=BRIEFS[2:3])
    assert torch.allclose(alone[0], whole[2], atol=1e-6)


def test_steps_are_left_alone_by_choice():
    flow = diffusers.FlowMatchEulerDiscreteScheduler

    def moves(**settings):
        _, seen = walk(flow(), Guided(targets=[Bright()], strength=0.2, **settings))
        return [bool((b != a).any()) for a, b in itertools.pairwise(seen)]

    assert moves() == [True] * 7
    assert moves(unguided=3) == [True] * 5 + [False] * 2
    assert moves(skip=2) == [False] * 2 + [True] * 5
    assert moves(every=3) == [True, False, False] * 2 + [True]


def test_the_margin_is_clamped_and_the_judge_then_decides():
    """Target and judge want opposite things; once the target is far enough past, only the judge pulls."""
    light = torch.full((1, 1, 4, 4), 0.9).requires_grad_()
    objective = Guided(targets=[Bright()], judges=[Bright()], clamp=3.0).objective(["one"])
    (gradient,) = torch.autograd.grad(objective(light).sum(), light)
    assert (gradient < 0).all(), "the judge sees `one` in what is dark"
    dark = torch.full((1, 1, 4, 4), 0.45).requires_grad_()
    (gradient,) = torch.autograd.grad(Guided(targets=[Bright()], judge_weight=0).objective(["one"])(dark).sum(), dark)
    assert (gradient > 0).all()
    both = Guided(targets=[Bright(), Bright(-1)], clamp=50).objective(["one"])(dark)
    one, other = (Guided(targets=[t], clamp=50).objective(["one"])(dark) for t in (Bright(), Bright(-1)))
    assert torch.allclose(both, (one + other) / 2)


def test_margins_above_zero_are_the_decisions():
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(0, 2, (500, 3)))
    labels = torch.from_numpy(rng.integers(0, 3, 500))
    p = logits.softmax(1).numpy()
    assert ((margin(logits, labels, "away", 0.5) > 0).numpy() == (p.argmax(1) != labels.numpy())).all()
    for threshold in (0.1, 0.5, 0.9):
        assert ((margin(logits, labels, "benign", threshold) > 0).numpy() == (1 - p[:, 0] < threshold)).all()


def test_mistakes_are_said():
    with pytest.raises(JobError, match="expected a target, strength >= 0"):
        Guided(targets=[])
    with pytest.raises(JobError, match=r"expected moves >= 1 and sure in \(0, 1\], got 0 and 1\.0"):
        Guided(targets=[Bright()], moves=0)
    with pytest.raises(JobError, match="got 1 and 0"):
        Guided(targets=[Bright()], sure=0)
    with pytest.raises(JobError, match="expected labels out of one, two; got three"):
        Guided(targets=[Bright()]).objective(["three"])
    scheduler = diffusers.EulerDiscreteScheduler(prediction_type="epsilon")
    scheduler.register_to_config(prediction_type="x")
    scheduler.set_timesteps(3)
    scheduler._init_step_index(scheduler.timesteps[0])
    with pytest.raises(JobError, match="epsilon, v_prediction, sample or flow; got 'x'"):
        estimate(scheduler, scheduler.timesteps[0])


class Corner(Bright):
    """Sees its label by one pixel, which what fools `Bright` need not touch."""

    def logits(self, images):
        return torch.stack([-20 * images[:, 0, 0, 0] + 10, 20 * images[:, 0, 0, 0] - 10], 1)


def test_a_steered_batch_is_past_the_net_in_training_and_the_judges_still_see_its_label():
    x = torch.full((64, 1, 4, 4), 0.35)
    x[:, :, 0, 0] = 0.2
    y = torch.zeros(64, dtype=torch.long)
    net = Bright().logits
    augment = steered([Corner()], strength=0.3, moves=3, share=0.5)
    out = augment(net, x, y, torch.Generator().manual_seed(0))
    moved = (out != x).flatten(1).any(1)
    assert 20 < moved.sum() < 44, "about a share of the batch"
    assert (net(out[moved]).argmax(1) == 1).all()
    assert (net(x).argmax(1) == 0).all()
    assert (Corner().logits(out).softmax(1)[:, 0] >= 0.9).all()
    assert 0 <= out.min() <= out.max() <= 1
    assert torch.equal(out, augment(net, x, y, torch.Generator().manual_seed(0)))
    assert not out.requires_grad


def test_what_a_judge_no_longer_sees_as_its_label_is_not_learned_from():
    x, y = torch.full((32, 1, 4, 4), 0.45), torch.zeros(32, dtype=torch.long)
    augment = steered([Bright()], strength=0.4, judge_weight=0.0, share=1.0)  # the judge is fooled by what fools the net
    assert torch.equal(augment(Bright().logits, x, y, torch.Generator().manual_seed(0)), x)
