"""A mining result as a data set of messages might give it: every verdict, queue, slice and curve, no miner behind it."""

from __future__ import annotations

import io
import math
import random
from typing import Any

import pyarrow as pa

from mining.dataset.result import ACTIONS, SCHEMA, Curve, MiningResult, Slice

SHARES = {"ok": 0.6, "mislabelled": 0.08, "hard": 0.1, "novel": 0.04, "ambiguous": 0.05, "duplicate": 0.13}
HAM = "see you at home later tonight thanks for lunch the meeting moved bus late dinner mum dad game sleep work".split()
SPAM = "free prize claim now win cash urgent offer reply stop txt mobile guaranteed award bonus ringtone entry".split()
OTHER = {"ham": "spam", "spam": "ham"}


def rows(n: int = 300, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of `SCHEMA` as mappings; ids `sms#0`, `sms#1`, ..., the first six with a verdict each."""
    rng = random.Random(seed)
    verdicts = [*SHARES, *rng.choices([*SHARES], [*SHARES.values()], k=max(0, n - len(SHARES)))][:n]
    found = []
    for i, verdict in enumerate(verdicts):
        label = "spam" if rng.random() < 0.3 else "ham"
        seems = OTHER[label] if verdict == "mislabelled" else label
        doubt = verdict in ("mislabelled", "ambiguous")
        away = 3.4 if verdict == "novel" else 0.0
        angle, spread = rng.uniform(0, 2 * math.pi), rng.gauss(0, 0.8)
        x = (2 if seems == "spam" else -2) * (0.15 if verdict in ("hard", "ambiguous") else 1) + spread * math.cos(angle)
        found.append(
            dict.fromkeys(SCHEMA.names) | {
                "id": f"sms#{i}", "row": i, "label": None if verdict == "novel" and i % 2 else label, "verdict": verdict,
                "action": ACTIONS[verdict], "suggested_label": seems if doubt else None, "label_flagged": doubt,
                "label_score": rng.uniform(0.8, 1) if doubt else rng.uniform(0, 0.3), "queue": label if doubt else None,
                "hardness": rng.uniform(0.7, 1) if verdict == "hard" else rng.uniform(0, 0.5),
                "reasons": [f"logistic regression {rng.uniform(0.8, 1):.2f}", "5 nearest: 4 say otherwise"] if doubt else [],
                "neighbours": [{"id": f"sms#{rng.randrange(n)}", "cosine": 0.97 - 0.04 * k, "label": seems} for k in range(5)],
                "group": i, "slices": [0] if i % 9 == 0 else [], "audit": False, "x": x,
                "y": spread * math.sin(angle) + away, "undone": "unicode" if i % 40 == 5 else None,
                "stands_for": "sms#0" if verdict == "duplicate" else None,
                "why_removed": ("cosine above 0.95", "same text once canonical")[i % 2] if verdict == "duplicate" else None,
                "why_spared": "a rare violation" if verdict == "ok" and i % 25 == 0 else None,
            })  # fmt: skip
    for label in OTHER:
        doubts = sorted((r for r in found if r["queue"] == label), key=lambda r: -r["label_score"])
        for rank, r in enumerate(doubts, 1):
            r["queue_rank"] = rank
    for rank, r in enumerate([r for r in found if r["label"] == "ham" and r["verdict"] == "ok"][:20], 1):
        r["hard_negative_rank"] = rank
    for rank, r in enumerate(rng.sample(found, min(30, n)), 1):
        r["selected_rank"], r["audit"] = rank, rank % 5 == 0
    return found


def curve(queue: str, noise: str, rate: float, end: int) -> Curve:
    reviewed = tuple(sorted({round(end * k / 14) for k in range(1, 15)}))
    found = tuple(min(x, 1.05 * end * rate * (1 - math.exp(-3 * x / end))) for x in reviewed)
    low, high = (tuple(min(x, width * y) for x, y in zip(reviewed, found, strict=True)) for width in (0.8, 1.15))
    return Curve(queue, noise, reviewed, found, low, high)


def result(n: int = 300, *, of: list[dict[str, Any]] | None = None, **other: Any) -> MiningResult:
    facts = {
        "source": "sms.parquet", "labels": ("ham", "spam"),
        "table": pa.Table.from_pylist(rows(n) if of is None else of, SCHEMA),
        "rejected": ((17, "no text"), (44, "no text"), (90, "text is longer than 1 MB")),
        "slices": (
            Slice("language de", 61, 0.31, 0.21, 0.43, 0.04, 0.00021, ("gewinn", "jetzt", "anrufen", "gratis", "preis")),
            Slice("cluster 12", 34, 0.18, 0.08, 0.33, 0.05, 0.013, ("ringtone", "poly", "txt", "tone", "order")),
            Slice("length below 20", 120, 0.07, 0.04, 0.12, 0.05, 0.41),
        ),
        "worth": tuple(
            curve(queue, noise, rate, end)
            for queue, end, rates in (("ham", 28, (0.6, 0.5, 0.7)), ("spam", 14, (0.5, 0.36, 0.15)))
            for noise, rate in zip(("symmetric", "boundary", "missed"), rates, strict=True)
        ),
        "f1": {noise: ((0, 10, 20, 42), (base, base + 0.02, base + 0.03, base + 0.034))
               for noise, base in (("symmetric", 0.921), ("boundary", 0.934), ("missed", 0.902))},
        "errors": {"ham": 21.4, "spam": 6.0},
        "facts": {"views": ("logistic regression", "balanced", "5 nearest", "25 nearest"),
                  "embedding_model": "all-MiniLM-L6-v2",
                  "seconds": 12.34, "label_rows": {"ham": 210, "spam": 90}, "exact": True},
        "notes": ("Near duplicates were searched approximately: recall 0.997, measured on 1,000 rows",
                  "No target's scores were given: slices rest on out-of-fold predictions"),
    }  # fmt: skip
    return MiningResult(**facts | other)


def texts(found: MiningResult) -> dict[str, str]:
    """id -> a message of its own."""
    rng = random.Random(1)
    return {
        r["id"]: " ".join(rng.choices(SPAM if r["label"] == "spam" else HAM, k=14)) + ("\u200b!" if r["undone"] else "")
        for r in found.table.select(["id", "label", "undone"]).to_pylist()
    }


def images(found: MiningResult) -> dict[str, bytes]:
    """id -> a small picture, encoded."""
    from PIL import Image

    drawn = {}
    for i, id in enumerate(found.table["id"].to_pylist()):
        stream = io.BytesIO()
        Image.linear_gradient("L").rotate(37 * i).resize((8, 8) if i % 2 else (200, 120)).save(stream, "png")
        drawn[id] = stream.getvalue()
    return drawn
