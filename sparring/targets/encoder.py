"""What every target that runs a transformers sequence classifier shares: load, tokens, logits batched by length."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import refs
from ..causal import by_length
from ..errors import JobError, TargetFailed


def load(place: str, *, dtype: Any, revision: str | None = None, **config: Any) -> tuple[Any, Any]:
    """(tokenizer, model) from a folder or a hub id; weights in safetensors only. Raises `ReferenceNotFound`."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    with refs.loading(place, "config.json, model.safetensors and a tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(place, revision=revision)
        model = AutoModelForSequenceClassification.from_pretrained(
            place, dtype=dtype, use_safetensors=True, revision=revision, **config
        )
    if tokenizer.pad_token is None:  # decoders
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model


def longest(tokenizer: Any, model: Any, otherwise: int) -> int:
    """Tokens that a text may have; `otherwise` where neither tokenizer nor model says."""
    return int(min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", otherwise)))


def token_ids(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token numbers of each text, cut at `max_length`."""
    return tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"] if len(texts) else []


def logits(model: Any, tokenizer: Any, ids: list[list[int]], *, size: int, bfloat16: bool = False) -> np.ndarray:
    """(n, c) float32, rows in order, in batches of `size`; `bfloat16` computes a float32 model in it."""
    import torch
    from transformers import DataCollatorWithPadding

    pad, place = DataCollatorWithPadding(tokenizer), model.device
    out = np.zeros((len(ids), model.config.num_labels), np.float32)
    for chunk in by_length(ids, size):
        batch: Any = pad([{"input_ids": ids[i]} for i in chunk])
        with torch.inference_mode(), torch.autocast(place.type, torch.bfloat16, enabled=bfloat16):
            out[chunk] = model(**batch.to(place)).logits.float().cpu().numpy()
    return out


def swap_gains(
    model: Any, tokenizer: Any, samples: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]], words: Sequence[str], *,
    odds: Callable[[Any], Any], max_length: int,
) -> list[np.ndarray]:  # fmt: skip
    """As `WhiteBox.swap_gains`, by the gradient of `odds`, a function of the (c,) logits, at the input embeddings (HotFlip,
    Ebrahimi et al. 2018, https://arxiv.org/abs/1712.06751).

    -inf for a word that is more than one token, and for a span that was cut off. Where a span is several tokens, the word takes
    the first one's place and the others' embeddings vanish. One text at a time, without padding: so none depends on the others.
    """
    import torch

    if not tokenizer.is_fast:
        raise TargetFailed("expected a fast tokenizer, which knows where a token stands; this model's has none")
    table = model.get_input_embeddings().weight
    found = tokenizer([f" {word}" for word in words], add_special_tokens=False)["input_ids"] if len(words) else []
    known = [j for j, ids in enumerate(found) if len(ids) == 1 and ids[0] != tokenizer.unk_token_id]
    vectors = table[[found[j][0] for j in known]].detach()
    out = []
    for text, mine in zip(samples, spans, strict=True):
        gains = np.full((len(mine), len(words)), -np.inf, np.float32)
        read = tokenizer(text, truncation=True, max_length=max_length, return_offsets_mapping=True)
        ids, places = read["input_ids"], read["offset_mapping"]
        with torch.enable_grad():
            own = table[ids].detach().requires_grad_(True)
            mask = torch.ones((1, len(ids)), dtype=torch.long, device=own.device)
            value = odds(model(inputs_embeds=own[None], attention_mask=mask).logits[0].float()) if ids else own.sum()
            (slope,) = torch.autograd.grad(value, own)
        now, after = (slope * own).sum(1).float().tolist(), (slope @ vectors.T).float().cpu().numpy()
        for i, (start, end) in enumerate(mine):
            tokens = [k for k, (a, b) in enumerate(places) if a < end and b > start and b > a]
            if tokens:
                gains[i, known] = sum(now[k] for k in tokens) - after[tokens[0]]
        out.append(gains)
    return out


def device(asked: str, who: str) -> str:
    import torch

    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise JobError(f"{who}: device 'cuda' was asked for and torch sees none. Fix: device: auto")
    return "cuda" if there and asked != "cpu" else "cpu"


def compiled(model: Any, who: str) -> Any:
    """The model by torch.compile, for inputs of any length; it is compiled when it is first called, in a minute or so.

    Raises `JobError` where there is no C++ compiler, which torch would find out only then.
    """
    import torch

    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        raise JobError(f"{who}: compile: true needs a C++ compiler, found no {compiler}. Fix: install it, or compile: false")
    return torch.compile(model, dynamic=True)


def activated(logits: np.ndarray, activation: str) -> np.ndarray:
    """(n, c) scores in [0, 1]; "none" where the model gives them itself."""
    return {"softmax": softmax, "sigmoid": sigmoid}[activation](logits) if activation != "none" else logits


def softmax(values: np.ndarray) -> np.ndarray:
    """(n, c) shares that sum to 1 over each row."""
    e = np.exp(values - values.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(values / 2))  # does not overflow
