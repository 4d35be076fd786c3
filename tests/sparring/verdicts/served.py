"""A causal language model behind HTTP that gives log-probabilities, in the form that vLLM's server does."""

from __future__ import annotations

import pathlib
from typing import Any

from aiohttp import web


def app(model: pathlib.Path) -> web.Application:
    """`/v1/chat/completions` for one token: the `top_logprobs` likeliest ones, by a plain forward pass."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(model)
    network: Any = AutoModelForCausalLM.from_pretrained(model).eval()

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        text = tokenizer.apply_chat_template(body["messages"], tokenize=False, add_generation_prompt=True)
        with torch.inference_mode():
            ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
            found = (
                network(ids).logits[0, -1].double().log_softmax(0).topk(min(body["top_logprobs"], network.config.vocab_size))
            )
        pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
        top = [{"token": tokenizer.decode([i]), "logprob": logprob} for i, logprob in pairs]
        return web.json_response({"choices": [{"logprobs": {"content": [{**top[0], "top_logprobs": top}]}}]})

    made = web.Application()
    made.router.add_post("/v1/chat/completions", answer)
    return made
