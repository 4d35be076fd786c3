from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from .. import refs
from ..causal import VllmModel
from .base import Answers, Prompt, Verdicts, first_tokens, from_top

TOP = 20  # what an engine gives unless it is told otherwise


@dataclass(kw_only=True)
class VLLM(VllmModel, Verdicts):
    """vLLM inside this process, which keeps the prefix that prompts share by itself; the likeliest 20 tokens are seen."""

    name: ClassVar[str] = "vllm"
    feature: ClassVar[str] = "LLM verdicts with vLLM"
    options: ClassVar[Mapping[str, Any]] = {"max_logprobs": TOP}

    batch_size: int = 256  # sequences that the engine runs at once
    dtype: str = "auto"
    gpus: int = 1
    memory: float = 0.9  # share of a GPU's memory
    context: int | None = None  # tokens of prompt and answer; None is the model's own
    chat_template: str | None = None

    def __post_init__(self) -> None:
        self.check_installed()
        refs.resolve(self.model)  # a model that cannot be had is said at once

    def answer(self, prompts: Sequence[Prompt], answers: tuple[str, ...], begun: str) -> Answers:
        from vllm import SamplingParams

        options: dict[str, Any] = {"enable_thinking": False}
        if self.chat_template:
            options["chat_template"] = self.chat_template
        chats = [self._chat(system, user, **options) + begun for system, user in prompts]
        ids = [{"prompt_token_ids": row} for row in self._tokenizer(chats, add_special_tokens=False)["input_ids"]]
        found = self._engine.generate(ids, SamplingParams(max_tokens=1, temperature=1.0, logprobs=TOP, seed=0), use_tqdm=False)
        top = [{token: entry.logprob for token, entry in f.outputs[0].logprobs[0].items()} for f in found]
        return from_top(top, first_tokens(self._tokenizer, answers), TOP)
