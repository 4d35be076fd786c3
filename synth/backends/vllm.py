from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, ClassVar

from sparring.causal import VllmModel
from sparring.generation import Asked, Told
from sparring.protocols import Completion

from .base import LocalBackend


@dataclass(kw_only=True)
class VLLM(VllmModel, LocalBackend):
    """vLLM inside this process, offline. The engine has twice the sequences that it runs at once, and gets the next as one is
    done: it never waits, and what a kill costs is bounded."""

    name: ClassVar[str] = "vllm"
    package: ClassVar[str] = "vllm"
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

    def answer(self, asked: Iterator[Asked], told: Told, schema: Mapping[str, Any] | None = None) -> None:
        engine, flying, ids = self._engine.llm_engine, dict[str, int](), count()
        try:
            while True:
                for one in islice(asked, 2 * self.batch_size - len(flying)):
                    name = f"sparring-{next(ids)}"
                    engine.add_request(name, {"prompt_token_ids": self.ids(one)}, self._params(self.sampling(one, schema)))
                    flying[name] = one.number
                if not flying:
                    return
                for found in engine.step():
                    if found.finished:
                        read, (out, *_) = found.prompt_token_ids or (), found.outputs
                        told(flying.pop(found.request_id), Completion(out.text, len(out.token_ids), len(read)))
        finally:
            if flying:  # something went wrong: the engine is not to go on with them
                engine.abort_request(list(flying))

    def ids(self, one: Asked) -> list[int]:
        return self._tokenizer(self._chat(one.system, one.user), add_special_tokens=False)["input_ids"]

    def sampling(self, one: Asked, schema: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """As plain data: they may go to an engine elsewhere."""
        return {
            "max_tokens": self.max_new_tokens, "temperature": self.temperature, "top_p": self.top_p, "seed": one.seed,
            **({"structured_outputs": {"json": dict(schema)}} if schema else {}),
        }  # fmt: skip

    @staticmethod
    def _params(sampling: dict[str, Any]) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        if held := sampling.pop("structured_outputs", None):
            from vllm.sampling_params import StructuredOutputsParams

            sampling["structured_outputs"] = StructuredOutputsParams(**held)
        return SamplingParams(output_kind=RequestOutputKind.FINAL_ONLY, **sampling)
