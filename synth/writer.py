"""Asks a language model for samples that break a policy's clauses, and keeps those that are new."""

from __future__ import annotations

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


@dataclass(slots=True)
class _Draft:
    """One prompt, what went into it, and what came of it."""

    prompt: tuple[str, str]
    clause: Clause
    shown: tuple[Record, ...]
    variant: int
    text: str | None = None
    reason: str = ""


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
        seed = _own_seed(policy, category, round, seed)
        drafts = self._drafts(policy, category, examples, n, seed)
        answers = self.model.complete([draft.prompt for draft in drafts], seed=seed)
        said = self.model.describe()
        limit = said.get("parameters", {}).get("max_new_tokens")
        for draft, answer in zip(drafts, answers, strict=True):
            draft.text, draft.reason = _read(draft, answer, limit)
        known = [*_texts(examples), *category.examples, *(clause.text for clause in category.clauses)]
        _mark_copies(known, [draft for draft in drafts if not draft.reason])
        made = [_record(policy, category, draft, said, round=round, seed=seed) for draft in drafts]
        return Written(
            records=tuple(record for record, draft in zip(made, drafts, strict=True) if not draft.reason),
            rejected=tuple(Rejected(record, d.reason) for record, d in zip(made, drafts, strict=True) if d.reason),
            tokens=sum(answer.tokens for answer in answers),
        )

    def prompts(
        self, policy: Policy, category: Category, examples: Sequence[Record], *, n: int, round: int, seed: int
    ) -> tuple[list[tuple[str, str]], int]:
        """What `write` would ask with the same arguments, and with which seed."""
        seed = _own_seed(policy, category, round, seed)
        return [draft.prompt for draft in self._drafts(policy, category, examples, n, seed)], seed

    def _drafts(self, policy: Policy, category: Category, examples: Sequence[Record], n: int, seed: int) -> list[_Draft]:
        if not category.may_generate:
            raise ProhibitedContent(
                f"expected a category that may be generated; {category.name!r} is marked `never_generate` or has the hazard "
                f"{category.hazard!r}. No flag or setting lifts this. Fix: leave it out of what is generated"
            )
        return [self._draft(policy, category, examples, i, seed) for i in range(n)]

    def _draft(self, policy: Policy, category: Category, examples: Sequence[Record], i: int, seed: int) -> _Draft:
        rng = Random(digest(seed, i))
        clause = category.clauses[i % len(category.clauses)]
        fitting = [e for e in examples if e.clause == clause.id] or [e for e in examples if e.clause is None] or examples
        shown = tuple(rng.sample(fitting, min(self.shots, len(fitting))))
        variant = rng.randrange(10**6)
        prompt = prompts.render(policy, category, clause, _texts(shown), variant=variant)
        check_text(*prompt)
        return _Draft(prompt, clause, shown, variant)


def _own_seed(policy: Policy, category: Category, round: int, seed: int) -> int:
    return int(digest(seed, round, policy.content_hash, category.name)[:8], 16) >> 1


def _texts(records: Sequence[Record]) -> list[str]:
    return [record.text or "" for record in records]


def _read(draft: _Draft, answer: Completion, limit: int | None) -> tuple[str | None, str]:
    """The text of an answer, and the reason to reject it or ""."""
    if is_prohibited(answer.text):
        return None, "prohibited"
    if not answer.text.strip():
        return "", "empty"
    shown = _texts(draft.shown)
    text = prompts.parse(answer.text, paragraphs=max((len(_EMPTY_LINE.split(t.strip())) for t in shown), default=None))
    if text is None:
        return answer.text, "unparsable"
    if limit and answer.tokens >= limit and answer.text.rstrip().endswith(text[-10:]):  # cut off: whole sentences stay
        whole = _SENTENCES.match(text)
        if not whole:
            return text, "too long"
        text = whole[0]
    if len(text) > ROOM + 2 * max(map(len, shown), default=prompts.LONGEST):
        return text, "too long"
    return text, "copy" if masked(text) in masked("\n".join(draft.prompt)) else ""


def _mark_copies(known: Sequence[str], drafts: Sequence[_Draft]) -> None:
    """Gives the reason `copy` to whatever nearly equals one of `known` or an earlier draft."""
    if drafts:
        row, other = near_pairs([*known, *(draft.text or "" for draft in drafts)], first=len(known))
        for i in row[other < row] - len(known):
            drafts[i].reason = "copy"


def _record(policy: Policy, category: Category, draft: _Draft, said: dict[str, Any], *, round: int, seed: int) -> Record:
    """`work` is everything that went in."""
    settings = said.get("parameters", {})
    system, user = draft.prompt
    return synthetic(
        work={
            "system": system, "user": user, "name": said["name"], "model": said.get("model"), "revision": said.get("revision"),
            "parameters": settings, "seed": seed, "round": round,
        },
        text=draft.text,
        language=policy.language,
        label_name=category.name,
        clause=draft.clause.id,
        severity=draft.clause.severity,
        policy=policy.name,
        policy_version=policy.version,
        generator=Generator.of(
            said, seed=seed, parameters=json.dumps({**settings, "variant": draft.variant}, sort_keys=True)
        ),
        parent_ids=tuple(e.id for e in draft.shown),
        root_ids=tuple(dict.fromkeys(root for e in draft.shown for root in e.root_ids or (e.id,))),
        round=round,
        split="train",
    )  # fmt: skip
