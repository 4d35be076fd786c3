from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sparring.causal import VllmModel
from sparring.protocols import Completion

from .base import LocalBackend


@dataclass(kw_only=True)
class VLLM(VllmModel, LocalBackend):
    """vLLM inside this process, offline: the whole call is one batch that the engine schedules itself."""

    name: ClassVar[str] = "vllm"
    feature: ClassVar[str] = "LLM generation with vLLM"
    guided: ClassVar[bool] = True

    batch_size: int = 256  # sequences that the engine runs at once
    dtype: str = "auto"
    gpus: int = 1
    memory: float = 0.9  # share of a GPU's memory
    context: int | None = None  # tokens of prompt and answer; None is the model's own

    def __post_init__(self) -> None:
        self.check_installed()
        super().__post_init__()

    def describe(self) -> dict[str, Any]:
        said = super().describe()
        said["parameters"]["dtype"] = self.dtype
        return said

    def answer(
        self, prompts: Sequence[tuple[str, str]], seeds: Sequence[int], schema: Mapping[str, Any] | None = None
    ) -> list[Completion]:
        from vllm import SamplingParams

        chats = [[{"role": "system", "content": s}, {"role": "user", "content": u}] for s, u in prompts]
        held: dict[str, Any] = {}
        if schema:
            from vllm.sampling_params import StructuredOutputsParams

            held["structured_outputs"] = StructuredOutputsParams(json=dict(schema))
        sampling = [
            SamplingParams(max_tokens=self.max_new_tokens, temperature=self.temperature, top_p=self.top_p, seed=seed, **held)
            for seed in seeds
        ]
        found = self._engine.chat(chats, sampling, use_tqdm=False)
        return [Completion(f.outputs[0].text, len(f.outputs[0].token_ids)) for f in found]
