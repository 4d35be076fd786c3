"""How far the judges can be trusted: against labels that they never saw, and on texts made to fool them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from . import metrics
from .context import Context
from .data import judge_rows
from .protocols import Judge
from .text import payload_spans

NEGATION = "This is a warning, do not fall for it: nobody should reply to messages like the following."


def judges(ctx: Context) -> dict[str, Any]:
    """Each judge's true positive rate on validation rows, and its false positive rates on benign rows and on a challenge
    set that no longer violates: the payload removed, the text negated, or replaced by a benign row."""
    violating, benign = ctx.corpus.by("validation", violating=True), ctx.corpus.by("validation", violating=False)
    texts, labels = [r.text or "" for r in violating], [r.label_name for r in violating]
    rng = Random(ctx.job.seed)
    challenges = {
        "payload_removed": (texts, [outside_payload(t) for t in texts], labels),
        "negated": (texts, [f"{NEGATION} {t}" for t in texts], labels),
        "replaced_by_benign": (texts, [rng.choice(benign).text or "" for _ in texts], labels),
        "benign": ([""] * len(benign), [r.text or "" for r in benign], [rng.choice(labels) for _ in benign]),
    }
    out = {}
    for number, (role, judge) in enumerate((("filter", ctx.judges.filter), ("audit", ctx.judges.audit))):
        out[role] = {
            "name": repr(judge),
            "rows": len(judge_rows(ctx.corpus, ctx.job.seed)[number]),
            "true_positive_rate": _accepted(judge, texts, texts, labels),
            "false_positive_rates": {name: _accepted(judge, *rows) for name, rows in challenges.items()},
        }
    return out


def outside_payload(text: str) -> str:
    """The text without its operative parts."""
    spans = [0, *(edge for span in payload_spans(text) for edge in span), len(text)]
    return "".join(text[a:b] for a, b in zip(spans[::2], spans[1::2], strict=True))


def _accepted(judge: Judge, seeds: Sequence[str], samples: Sequence[str], labels: Sequence[str]) -> metrics.Figure | None:
    return metrics.rate([v.valid for v in judge.assess(seeds, samples, labels)])
