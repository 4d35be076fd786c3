from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from .. import refs
from ..causal import CausalLM, by_length
from ..errors import JobError
from .base import Answers, Prompt, Verdicts, first_tokens

KEPT = 8  # system prompts whose keys and values are kept


@dataclass(kw_only=True)
class Transformers(CausalLM, Verdicts):
    """A causal language model of the `transformers` library: a folder, an `hf://` id, or a GGUF file.

    The keys and values of a system prompt are computed once and used for every row (`reuse`); in float32 a row's
    probabilities depend neither on that nor on its neighbours (to 1e-4). `chat_template` takes the place of the model's own.
    """

    name: ClassVar[str] = "transformers"

    batch_size: int = 16
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    chat_template: str | None = None
    reuse: bool = True
    _past: OrderedDict[str, Any] = field(default_factory=OrderedDict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise JobError(f"verdicts 'transformers': expected batch_size of at least 1, got {self.batch_size}")
        refs.resolve(self.model)  # a model that cannot be had is said at once

    def answer(self, prompts: Sequence[Prompt], answers: tuple[str, ...], begun: str) -> Answers:
        tokens = first_tokens(self._tokenizer, answers)
        ids = [self._ids(system, user, begun) for system, user in prompts]
        self._check_length(max(map(len, ids)))
        p = np.zeros((len(prompts), len(answers)))
        with self._limited_threads():
            for system in dict.fromkeys(system for system, _ in prompts):
                rows = [i for i, prompt in enumerate(prompts) if prompt[0] == system]
                for chunk in by_length([ids[i] for i in rows], self.batch_size):
                    some = [rows[i] for i in chunk]
                    found = self._next([ids[i] for i in some], self._prefix(system))
                    p[some] = np.stack([found[:, one].sum(1) for one in tokens], axis=1)
        return Answers(p, np.ones(p.shape, bool))

    def _ids(self, system: str, user: str, begun: str = "") -> list[int]:
        # Models that think aloud are asked not to: the next token is to be the answer.
        options: dict[str, Any] = {"enable_thinking": False}
        if self.chat_template:
            options["chat_template"] = self.chat_template
        return self._tokenizer(self._chat(system, user, **options) + begun, add_special_tokens=False)["input_ids"]

    def _next(self, ids: list[list[int]], prefix: tuple[list[int], Any] | None) -> np.ndarray:
        """(n, vocabulary) float32: the probability of each token behind each row."""
        import torch

        known, past = prefix or ([], None)
        if any(row[: len(known)] != known or len(row) == len(known) for row in ids):
            known, past = [], None
        rest = [row[len(known) :] for row in ids]
        last = torch.tensor([len(row) - 1 for row in rest], device=self._device)
        wanted, which = last.unique(return_inverse=True)
        with torch.inference_mode():
            logits = self._model(
                input_ids=self._padded(rest),
                past_key_values=_repeated(past, len(ids)) if past else None,
                use_cache=past is not None,
                logits_to_keep=wanted,
            ).logits
            own = logits[torch.arange(len(ids), device=self._device), which]
            return own.float().softmax(1).cpu().numpy()

    def _prefix(self, system: str) -> tuple[list[int], Any] | None:
        """The tokens with which every chat of this system prompt begins, and their keys and values, of one row."""
        if not (self.reuse and system):
            return None
        if system not in self._past:
            import torch

            one, other = self._ids(system, "a"), self._ids(system, "0")
            same = next((i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
            past = None
            if same:
                with torch.inference_mode():
                    inputs = torch.tensor([one[:same]], device=self._device)
                    past = self._model(input_ids=inputs, use_cache=True, logits_to_keep=1).past_key_values
            self._past[system] = (one[:same], past) if past is not None and _is_plain(past) else None
            while len(self._past) > KEPT:
                self._past.popitem(last=False)
        self._past.move_to_end(system)
        return self._past[system]

    def _check_length(self, longest: int) -> None:
        most = getattr(self._model.config, "max_position_embeddings", None) or longest
        if longest > most:
            raise JobError(
                f"verdicts 'transformers': expected prompts of at most {most} tokens, which {self.model} takes; the longest "
                f"has {longest}. Fix: a smaller max_characters, a shorter policy, or a model with a longer context"
            )


def _is_plain(cache: Any) -> bool:
    """Whether it is keys and values of full attention, layer by layer: a recurrent state or a window is not cut this way."""
    from transformers.cache_utils import DynamicLayer

    return all(type(layer) is DynamicLayer for layer in getattr(cache, "layers", [None]))


def _repeated(cache: Any, n: int) -> Any:
    """A cache of n like rows; the model's first write copies it, the original stays as it is."""
    from transformers import DynamicCache

    new = DynamicCache()
    for number, layer in enumerate(cache.layers):
        new.update(layer.keys.expand(n, -1, -1, -1), layer.values.expand(n, -1, -1, -1), number)
    return new
