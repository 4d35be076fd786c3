"""Rows to publish, made as they are asked for: texts out of words, pictures out of noise, a third of the rows synthetic."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from sparring.policy import Policy
from sparring.record import SCHEMA, SPLITS

BATCH = 4096
WORDS = """free prize claim now win cash urgent offer reply stop txt mobile guaranteed award bonus call me soon see you at home
later tonight thanks for lunch the meeting moved bus late dinner mum dad game sleep work ok entry ringtone subscribe""".split()
SHARES = (0.5, 0.1, 0.1, 0.3)
ROUNDS = 3


def tables(setting: str, n: int, rules: Policy, *, stamps: bool = False) -> Iterator[pa.Table]:
    """`n` rows in tables of `SCHEMA`: real ones first, then round after round. `stamps`: pictures of a few bytes."""
    rng = np.random.default_rng(0)
    real = 2 * n // 3
    for start in range(0, n, BATCH):
        yield _table(setting, np.arange(start, min(start + BATCH, n)), real, n, rules, rng, stamps)


def _table(
    setting: str, number: np.ndarray, real: int, n: int, rules: Policy, rng: np.random.Generator, stamps: bool
) -> pa.Table:
    size = len(number)
    made = number >= real
    rounds = np.minimum((number - real) * ROUNDS // max(n - real, 1), ROUNDS - 1)
    hashes = [rng.bytes(12).hex() for _ in range(size)]
    ids = [f"{h}-0" if m else f"rows.csv#{h}" for h, m in zip(hashes, made, strict=True)]
    names = rng.choice(rules.labels, size).tolist()
    words = rng.choice(WORDS, (size, 18))
    texts = [" ".join(row) + f" {i}" for row, i in zip(words, number, strict=True)]
    parents = [[f"rows.csv#{h}"] if m else [] for h, m in zip(hashes, made, strict=True)]
    maker = {"name": "leet", "model": None, "revision": None, "licence": None, "seed": 0, "parameters": json.dumps({"p": 0.3})}
    steps = [[{"name": "leet", "strength": 0.5, "seed": int(i)}] if m else [] for i, m in zip(number, made, strict=True)]
    columns = {
        "id": ids, "work_id": hashes, "content_hash": hashes, "text": texts if setting == "text" else [None] * size,
        "image": [None] * size if setting == "text" else [{"bytes": b, "path": None} for b in _pictures(rng, size, stamps)],
        "audio": [None] * size, "video": [None] * size, "language": ["en"] * size,
        "label_name": names, "label": [rules.labels.index(name) for name in names], "labels": [[]] * size,
        "clause": ["bulk"] * size, "severity": [2] * size, "policy": [rules.name] * size,
        "policy_version": [rules.version] * size, "pair_id": [None] * size,
        "origin": ["synthetic" if m else "real" for m in made], "generator": [maker if m else None for m in made],
        "parent_ids": parents, "root_ids": parents,
        "operators": steps,
        "round": [int(r) if m else None for r, m in zip(rounds, made, strict=True)],
        "group": [f"g{i}" for i in number], "split": rng.choice(SPLITS, size, p=SHARES).tolist(),
    }  # fmt: skip
    return pa.table(columns, schema=SCHEMA)


def _pictures(rng: np.random.Generator, n: int, stamps: bool) -> list[bytes]:
    """PNG of noise, each another: 64 x 64, about 12 KB; a stamp is 4 x 4, one of 64, and bytes of its own."""
    from PIL import Image

    side, found = (4 if stamps else 64), []
    for _ in range(64 if stamps else n):
        out = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(out, "PNG", compress_level=1)
        found.append(out.getvalue())
    return [found[i % 64] + rng.bytes(16) for i in range(n)] if stamps else found
