from __future__ import annotations

import numpy as np

from sparring import refs
from sparring.causal import CausalLM, by_length

from .criteria import Check, Rows

LONGEST = 1000  # characters that are read


class Readable(CausalLM, Check):
    """A small language model finds the sample at most `max_ratio` times as perplexing as its seed, both on canonical text.

    `model` is a causal language model by reference: a folder, an `hf://` id or a GGUF file.
    """

    names = ("readable",)
    cost = 50.0

    def __init__(
        self,
        *,
        model: str,
        max_ratio: float = 3.0,
        revision: str | None = None,
        batch_size: int = 8,
        device: str = "auto",
        dtype: str = "auto",
        threads: int | None = None,
    ):
        self.model, self.max_ratio, self.revision, self.batch_size = model, max_ratio, revision, batch_size
        self.device, self.dtype, self.threads = device, dtype, threads
        self._known: dict[str, float] = {}
        refs.resolve(model)  # a model that cannot be had is said at once

    def __repr__(self) -> str:
        return f"Readable(model={self.model!r}, max_ratio={self.max_ratio})"

    def kept(self, rows: Rows) -> np.ndarray:
        found = self.perplexities([rows.flat(text) for text in (*rows.seeds, *rows.samples)])
        return found[len(rows) :] <= self.max_ratio * found[: len(rows)]

    def perplexities(self, texts: list[str]) -> np.ndarray:
        """(n,) exp of the mean negative log-likelihood of a text's tokens; 1 for an empty text. Kept by text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        start = self._tokenizer.bos_token_id
        start = self._tokenizer.eos_token_id if start is None else start
        ids = [[start, *self._tokenizer(text[:LONGEST], add_special_tokens=False)["input_ids"]] for text in new]
        with self._limited_threads():
            for chunk in by_length(ids, self.batch_size):
                for i, loss in zip(chunk, self._losses([ids[i] for i in chunk]), strict=True):
                    self._known[new[i]] = float(np.exp(loss))
        return np.array([self._known[text] for text in texts])

    def _losses(self, ids: list[list[int]]) -> list[float]:
        import torch

        with torch.inference_mode():
            inputs = self._padded(ids)
            logits = self._model(input_ids=inputs, use_cache=False).logits[:, :-1].float()
            losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), inputs[:, 1:], reduction="none").cpu()
        return [float(row[: len(one) - 1].mean()) if len(one) > 1 else 0.0 for row, one in zip(losses, ids, strict=True)]
