"""Asks a language model for samples that break a policy's clauses, and keeps those that are new."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from sparring.custody import check_text, is_prohibited
from sparring.errors import ProhibitedContent
from sparring.policy import Category, Clause, Policy
from sparring.protocols import Completion, TextModel
from sparring.record import Generator, Record, digest, synthetic
from sparring.text import masked, near_pairs

from . import prompts

ROOM = 200  # characters that a text may have beside twice the length of what it was shown

_SENTENCES = re.compile(r".*(?:[.!?…।](?=\s|$)|[。！？])", re.S)
_EMPTY_LINE = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class Rejected:
    """An answer that is no sample: its record, never published, and why it fell.

    Reasons: empty, unparsable, too long, copy (of an example, of the prompt, of an earlier text) and prohibited, whose text
    is not kept.
    """

    record: Record
    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """What came of the prompts, one record or rejection each, both in the order of the prompts."""

    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class _Ask:
    """One prompt and what went into it."""

    prompt: tuple[str, str]
    clause: Clause
    shown: tuple[Record, ...]
    variant: int


class SeedWriter:
    """Writes violating samples with `model`, shown `shots` examples at a time; one is best for models below 1B."""

    def __init__(self, model: TextModel, *, shots: int = 1):
        self.model, self.shots = model, shots

    def __repr__(self) -> str:
        return f"SeedWriter({self.model!r}, shots={self.shots})"

    def write(
        self, policy: Policy, category: Category, examples: Sequence[Record], *, n: int, round: int, seed: int
    ) -> Written:
        """Asks `n` times, each time with a clause of `category` and some of `examples` (at most some hundreds).

        The same arguments give the same records, ids included. Raises `ProhibitedContent` for a category that is never
        generated and for a prompt that `custody` refuses.
        """
        if not category.may_generate:
            raise ProhibitedContent(
                f"expected a category that may be generated; {category.name!r} is marked `never_generate` or has the hazard "
                f"{category.hazard!r}. No flag or setting lifts this. Fix: leave it out of what is generated"
            )
        seed = int(digest(seed, round, policy.content_hash, category.name)[:8], 16) >> 1
        asks = [self._ask(policy, category, examples, i, seed) for i in range(n)]
        answers = self.model.complete([ask.prompt for ask in asks], seed=seed)
        said = self.model.describe()
        limit = said.get("parameters", {}).get("max_new_tokens")
        texts, reasons = [], []
        for ask, answer in zip(asks, answers, strict=True):
            text, reason = _read(ask, answer, limit)
            texts.append(text)
            reasons.append(reason)
        known = [*(e.text or "" for e in examples), *category.examples, *(c.text for c in category.clauses)]
        _mark_copies(known, texts, reasons)
        blank = [_record(policy, category, ask, said, round=round, seed=seed) for ask in asks]
        made = [dataclasses.replace(record, text=text) for record, text in zip(blank, texts, strict=True)]
        return Written(
            records=tuple(r for r, reason in zip(made, reasons, strict=True) if not reason),
            rejected=tuple(Rejected(r, reason) for r, reason in zip(made, reasons, strict=True) if reason),
            tokens=sum(answer.tokens for answer in answers),
        )

    def _ask(self, policy: Policy, category: Category, examples: Sequence[Record], i: int, seed: int) -> _Ask:
        rng = Random(digest(seed, i))
        clause = category.clauses[i % len(category.clauses)]
        fitting = [e for e in examples if e.clause == clause.id] or [e for e in examples if e.clause is None] or list(examples)
        shown = tuple(rng.sample(fitting, min(self.shots, len(fitting))))
        variant = rng.randrange(10**6)
        prompt = prompts.render(policy, category, clause, [e.text or "" for e in shown], variant=variant)
        check_text(*prompt)
        return _Ask(prompt, clause, shown, variant)


def _read(ask: _Ask, answer: Completion, limit: int | None) -> tuple[str | None, str]:
    """(text, reason to reject it or "")."""
    if is_prohibited(answer.text):
        return None, "prohibited"
    if not answer.text.strip():
        return "", "empty"
    shown = [e.text or "" for e in ask.shown]
    text = prompts.parse(answer.text, paragraphs=max((len(_EMPTY_LINE.split(e.strip())) for e in shown), default=None))
    if text is None:
        return answer.text, "unparsable"
    if limit and answer.tokens >= limit and answer.text.rstrip().endswith(text[-10:]):  # cut off: whole sentences stay
        whole = _SENTENCES.match(text)
        if not whole:
            return text, "too long"
        text = whole[0]
    if len(text) > ROOM + 2 * max(map(len, shown), default=prompts.LONGEST):
        return text, "too long"
    return text, "copy" if masked(text) in masked("\n".join(ask.prompt)) else ""


def _mark_copies(known: Sequence[str], texts: Sequence[str | None], reasons: list[str]) -> None:
    """Gives the reason `copy` to every text, not rejected yet, that nearly equals one of `known` or an earlier text."""
    new = [i for i, reason in enumerate(reasons) if not reason]
    if not new:
        return
    row, other = near_pairs([*known, *(texts[i] or "" for i in new)], first=len(known))
    for position in row[other < row]:
        reasons[new[position - len(known)]] = "copy"


def _record(policy: Policy, category: Category, ask: _Ask, said: dict[str, Any], *, round: int, seed: int) -> Record:
    """Without its text. `work` is everything that went in."""
    settings = said.get("parameters", {})
    system, user = ask.prompt
    return synthetic(
        work={
            "system": system, "user": user, "model": said.get("model"), "revision": said.get("revision"),
            "parameters": settings, "seed": seed, "round": round,
        },
        language=policy.language,
        label_name=category.name,
        clause=ask.clause.id,
        severity=ask.clause.severity,
        policy=policy.name,
        policy_version=policy.version,
        generator=Generator(
            name=said["name"], model=said.get("model"), revision=said.get("revision"), licence=said.get("licence"),
            seed=seed, parameters=json.dumps({**settings, "variant": ask.variant}, sort_keys=True),
        ),
        parent_ids=tuple(e.id for e in ask.shown),
        root_ids=tuple(dict.fromkeys(root for e in ask.shown for root in e.root_ids or (e.id,))),
        round=round,
        split="train",
    )  # fmt: skip
