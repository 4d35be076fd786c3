from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import asyncio
import contextlib
import json
import pathlib
import random
import threading

import pytest
import yaml
from hypothesis import settings

# Machines that run this are busy, so no deadline. A gate must not depend on luck, so the examples are the same in every run;
# `make fuzz` looks for new ones.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

ROOT = pathlib.Path(__file__).parent.parent
HAM = """see you at home later tonight thanks for lunch the meeting moved bus late dinner mum dad game sleep work call
me soon ok""".split()
SPAM = """free prize claim now win cash urgent offer reply stop txt mobile guaranteed award bonus ringtone subscribe
entry""".split()


def write_rows(path: pathlib.Path, n: int = 400, seed: int = 0) -> pathlib.Path:
    """A small two-class set in CSV: a third violates; every row is unique and few are near duplicates."""
    rng = random.Random(seed)
    lines = ["text,label"]
    for i in range(n):
        spam = i % 3 == 0
        words = [rng.choice(SPAM if spam and rng.random() < 0.6 else HAM) for _ in range(rng.randint(7, 14))]
        lines.append(
            " ".join(words)
            + (f" call 0{rng.randint(8_000_000_000, 8_999_999_999)}" if spam else "")
            + f",{'spam' if spam else 'ham'}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def policy_path() -> pathlib.Path:
    return ROOT / "examples" / "policies" / "spam.yaml"


@pytest.fixture
def tiny_job(tmp_path: pathlib.Path, policy_path: pathlib.Path):
    """A job file over a small made data set, a naive Bayes target and a hashing embedder: a whole run in seconds."""
    write_rows(tmp_path / "rows.csv")

    def write(**changes) -> pathlib.Path:
        judge = {"kind": "classifier", "embedder": "dummy"}
        job = {
            "name": "tiny", "rounds": 1, "policy": str(policy_path), "runs": str(tmp_path / "runs"),
            "data": {"source": "rows.csv", "format": "csv", "labels": {"ham": "benign", "spam": "spam"}},
            "target": {"kind": "dummy"},
            "attack": {
                "operators": ["dilution", "typo"], "budget": 20, "warmup": 200,
                "train_seeds": 30, "test_seeds": 30, "payoff_seeds": 10,
            },
            "judges": {"filter": dict(judge), "audit": dict(judge), "cosine": 0.6},
            "mining": {"embedder": {"kind": "dummy"}, "select": 20},
        }  # fmt: skip
        for place, value in changes.items():
            *parents, last = place.split("__")
            inner = job
            for key in parents:
                inner = inner.setdefault(key, {})
            inner[last] = value
        path = tmp_path / "job.yaml"
        path.write_text(yaml.safe_dump(job), encoding="utf-8")
        return path

    return write


STAMPS = """
name: stamps
version: "1"
description: Stamps with an X are withdrawn and may not be offered; a harmless stand-in.
language: en
categories:
  - name: withdrawn
    hazard: other
    hazard_reason: A stand-in for a real hazard.
    definition: A stamp that shows an X.
    clauses: [{id: X, severity: 1, text: An X can be read.}]
"""


@pytest.fixture
def image_job(tmp_path: pathlib.Path):
    """A job file over drawn stamps: letters, of which X is withdrawn; every part small and real."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from sparring.protocols import Brief
    from synth.images.dummy import Dummy

    letters = "OLXTXC"
    briefs = [Brief(letters[i % 6], i) for i in range(600)]
    drawn = Dummy(size=16).draw(briefs)
    rows = [{"image": {"bytes": d.image, "path": None}, "label": b.label} for d, b in zip(drawn, briefs, strict=True)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "stamps.parquet")
    (tmp_path / "policy.yaml").write_text(STAMPS, encoding="utf-8")

    def write(**changes) -> pathlib.Path:
        nets = {"size": 16, "epochs": 15}
        job = {
            "name": "stamps", "rounds": 1, "policy": "policy.yaml", "runs": str(tmp_path / "runs"),
            "data": {
                "source": "stamps.parquet", "format": "parquet", "image": "image",
                "labels": {letter: "withdrawn" if letter == "X" else "benign" for letter in letters},
                "split": {"train": 0.3, "validation": 0.15, "judge": 0.4, "test": 0.15},
            },
            "target": {"kind": "net", "architecture": "patches", "augment": "none", **nets},
            "attack": {"budget": 50, "train_seeds": 20, "test_seeds": 20, "payoff_seeds": 6},
            "judges": {
                "filter": {"kind": "nets", "architectures": ["cnn"], "max_fpr": 0.1, **nets},
                "audit": {"kind": "nets", "architectures": ["residual"], "max_fpr": 0.1, **nets},
            },
            "mining": {"select": 10},
        }  # fmt: skip
        path = tmp_path / "job.yaml"
        path.write_text(yaml.safe_dump(job | changes), encoding="utf-8")
        return path

    return write


@pytest.fixture
def spar():
    """Runs a job file as the command does; returns the run folder."""

    def go(path: pathlib.Path) -> pathlib.Path:
        from cli import stages
        from sparring import jobs, loop

        job = jobs.load(path)
        return loop.run(job, stages(job), lambda event: None)

    return go


@contextlib.contextmanager
def on_loopback(app):
    """Serves an aiohttp application on a free port of 127.0.0.1, in a thread, until the block ends; yields its URL."""
    from aiohttp import web

    loop = asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="session")
def loopback():
    return on_loopback


def summary_of(folder: pathlib.Path) -> dict:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def tiny_lm(tmp_path_factory) -> pathlib.Path:
    """A random Llama of 2 layers with a byte-level tokenizer and a chat template: answers at random, but firmly."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder, special = tmp_path_factory.mktemp("tiny-lm"), ["<|im_start|>", "<|im_end|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    words = ["Yes No safe unsafe user system assistant", *[" ".join(HAM), " ".join(SPAM)] * 4]
    bpe.train_from_iterator(words, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=special[0], eos_token=special[1])
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    )
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, max_position_embeddings=4096, initializer_range=0.3, bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder
