from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from random import Random
from typing import Any, ClassVar

from sparring.causal import CausalLM, by_length
from sparring.generation import Asked, Told
from sparring.protocols import Completion

from .base import LocalBackend

WINDOW = 16  # batches that prompts of like length are looked for in
CANDIDATES = 1000  # the nucleus is looked for among so many likeliest tokens


@dataclass(kw_only=True)
class Transformers(CausalLM, LocalBackend):
    """A causal language model of the `transformers` library, in batches of prompts of like length.

    On a CPU it computes in float32, where a text is the same in every batch. `dtype="bfloat16"` is 2 to 3 times as fast on
    processors that have it; a text then depends on the batch that it was written in.
    """

    name: ClassVar[str] = "transformers"
    package: ClassVar[str] = "transformers"

    batch_size: int = 16
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None  # of torch, while it writes; None leaves them as they are

    def describe(self) -> dict[str, Any]:
        said = super().describe()
        said["parameters"]["dtype"] = self._dtype
        if said["revision"] is None:  # a model of the hub: the commit that was loaded
            said["revision"] = getattr(self._model.config, "_commit_hash", None)
        return said

    def answer(self, asked: Iterator[Asked], told: Told) -> None:
        with self._limited_threads():
            while window := list(islice(asked, WINDOW * self.batch_size)):
                chats = [self._chat(one.system, one.user) for one in window]
                for chunk in by_length(chats, self.batch_size):
                    found = self._generate([chats[i] for i in chunk], [window[i].seed for i in chunk])
                    for i, answer in zip(chunk, found, strict=True):
                        told(window[i].number, answer)

    def _generate(self, chats: list[str], seeds: list[int]) -> list[Completion]:
        import torch

        inputs = self._tokenizer(chats, return_tensors="pt", padding=True, add_special_tokens=False).to(self._device)
        start = inputs["input_ids"].shape[1]
        draws = torch.tensor([_uniform(seed, self.max_new_tokens) for seed in seeds], device=self._device)
        sampler = [Sampler(draws, start, self.temperature, self.top_p)] if self.temperature > 0 else []
        with torch.inference_mode():
            out = self._model.generate(**inputs, generation_config=self._settings, logits_processor=sampler)
        read = inputs["attention_mask"].sum(1).tolist()
        return [self._completion(ids, n) for ids, n in zip(out[:, start:].tolist(), read, strict=True)]

    def _completion(self, ids: list[int], read: int) -> Completion:
        ends = [i for i, token in enumerate(ids) if token in self._settings.eos_token_id]
        length = ends[0] if ends else len(ids)
        return Completion(self._tokenizer.decode(ids[:length], skip_special_tokens=True), length, read)

    @cached_property
    def _settings(self) -> Any:
        """Greedy, over what the sampler left: the model's own sampling settings are not used."""
        from transformers import GenerationConfig

        ends = self._model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends]) | {self._tokenizer.eos_token_id}
        return GenerationConfig(
            max_new_tokens=self.max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(ends - {None}),
            pad_token_id=self._tokenizer.pad_token_id,
        )


class Sampler:
    """Nucleus sampling as a logits processor: leaves the one token that a row's own draw picks, the global state alone.

    `draws` is (rows, new tokens) in [0, 1).
    """

    def __init__(self, draws: Any, start: int, temperature: float, top_p: float):
        self.draws, self.start, self.temperature, self.top_p = draws, start, temperature, top_p

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        logits = scores.float() / self.temperature
        top = logits.topk(min(CANDIDATES, logits.shape[1]))
        p = (top.values - logits.logsumexp(1, keepdim=True)).exp()
        below = p.cumsum(1)
        nucleus = torch.where(below - p < self.top_p, below, 0).amax(1, keepdim=True)
        draw = self.draws[:, input_ids.shape[1] - self.start].unsqueeze(1)
        pick = torch.searchsorted(below, draw * nucleus, right=True).clamp(max=top.values.shape[1] - 1)
        return torch.full_like(scores, -torch.inf).scatter(1, top.indices.gather(1, pick), 0.0)


def _uniform(seed: int, n: int) -> list[float]:
    rng = Random(seed)
    return [rng.random() for _ in range(n)]
