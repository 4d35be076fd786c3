"""The attack engine. A search proposes and is told; the engine owns budget, validity, batching and honest success."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeAlias

from sparring.errors import TargetFailed
from sparring.media import TEXTS, Medium
from sparring.protocols import PATIENCE as DOWN
from sparring.protocols import Judge, Target, Verdict, violation_scores
from sparring.record import Step, digest

Status = Literal["success", "survived", "missed", "failed"]  # failed: no score for the seed, or for any of its candidates
NOT_JUDGED = "not judged"
WON = "won, another is wanted"
PATIENCE = 20  # batches without one fit candidate, after which a search is over


@dataclass(frozen=True, slots=True)
class Seed:
    """A violating sample to start from; `text` is an encoded file where images are attacked."""

    id: str
    text: Any
    label: str
    clause: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a search proposes; `text` is an encoded file where images are attacked."""

    text: Any
    steps: tuple[Step, ...]
    parameters: str = ""  # JSON, what makes it again where the steps do not say it all


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a candidate. `score` is None when it was not scored; `reason` says why it is no success."""

    candidate: Candidate
    score: float | None
    hit: bool  # the target calls it benign, and still does once a normaliser went over it
    reason: str
    flat_score: float | None = None  # of what a normaliser makes of it, where that was asked for


class Ask(ABC):
    """What a search may yield beside candidates: it is sent the answer. Whatever the living searches ask for at one time is
    answered in one call, so an answer must not depend on what else is in it."""

    @property
    def queries(self) -> int:
        """Scores of the target, gradients among them, that an answer counts as."""
        return 0

    @property
    def asks(self) -> int:
        """Prompts to a language model in it."""
        return 0

    @classmethod
    @abstractmethod
    def answer(cls, asked: Sequence[Any], target: Target) -> list[Any]:
        """An answer to each of `asked`, which are of this class, in order."""


Search: TypeAlias = Generator["list[Candidate] | Ask", Any, None]


class Attack(ABC):
    """A strategy. Authors write one hook, the search for one seed; many of them run at once, in lockstep."""

    queries: int = 0  # scores of a target that went into training it; they count as warm-up
    gradients: ClassVar[bool] = False  # capability that it asks of a target
    makes: ClassVar[Mapping[str, str]] = MappingProxyType({})  # steps that no operator made, and the family of each

    @abstractmethod
    def search(self, seed: Seed, score: float, threshold: float, rng: Random) -> Search:
        """Yields candidates in order of preference and receives what came of them, in the same order.

        `score` is the target's for the seed itself. It may also yield an `Ask` and receives the answer. The generator is
        closed at the last success that is wanted or when the budget is spent; when it returns without one, the seed survived.
        """


@dataclass(slots=True)
class Outcome:
    """What came of one seed. `evaded` counts any hit, valid or not: the raw attack success. `stood` says that one was still a
    hit when a normaliser had gone over it, judged or not; `further` holds the successes behind the first."""

    seed: Seed
    clean_score: float
    status: Status
    queries: int = 1
    prompts: int = 0  # that a language model was asked for it
    evaded: bool = False
    stood: bool = False
    sample: Candidate | None = None
    score: float | None = None
    flat_score: float | None = None  # of the sample as a normaliser makes it
    verdict: Verdict | None = None
    further: list[tuple[Told, Verdict]] = field(default_factory=list)
    rejected: list[tuple[Candidate, float, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Live:
    outcome: Outcome
    search: Search
    seen: set[Any]
    unfit: Callable[[Any], str]
    asked: Ask | None = None
    proposed: list[Candidate] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    idle: int = 0
    scored: bool = False  # the target gave a score for a candidate
    failed: bool = False  # or none, though it was asked for one

    def hear(self, answer: Any) -> None:
        """Sends the search an answer; None starts it."""
        try:
            said = self.search.send(answer)
        except StopIteration:
            said = []
        self.asked, self.proposed = (said, []) if isinstance(said, Ask) else (None, said)

    def end(self) -> None:
        self.search.close()
        self.asked, self.proposed = None, []

    def refuse(self, i: int, reason: str, *, hit: bool = False) -> None:
        self.told[i] = replace(self.told[i], hit=hit, reason=reason)


def attack(
    strategy: Attack,
    target: Target,
    seeds: Iterable[Seed],
    judge: Judge,
    *,
    budget: int,
    judge_budget: int = 4,
    seed: int = 0,
    window: int = 256,
    longer: float = 1.5,
    payload_patterns: Sequence[str] = (),
    medium: Medium = TEXTS,
    wins: int = 1,
) -> list[Outcome]:
    """One outcome for each seed, in order. At most `budget` scores of the target a seed, the clean check among them,
    and at most `judge_budget` questions to the judge: it costs a hundred times what a small target does.

    A success is a candidate that the target calls benign at its threshold, raw and as a normaliser makes it (`medium.flat`),
    that stays within the medium's bounds (payload and length, or size), and that the judge holds valid. A search goes on to its
    `wins`-th success, as far as the budgets reach; of those before it hears as of hits that were refused. Results depend on
    `seed` and not on `window`. A row that the target fails on costs that row; `TargetFailed` when it fails on twenty seeds, one
    after the other.
    """
    return list(
        stream(
            strategy, target, seeds, judge, budget=budget, judge_budget=judge_budget, seed=seed, window=window, longer=longer,
            payload_patterns=payload_patterns, medium=medium, wins=wins,
        )
    )  # fmt: skip


def stream(
    strategy: Attack,
    target: Target,
    seeds: Iterable[Seed],
    judge: Judge,
    *,
    budget: int,
    judge_budget: int = 4,
    seed: int = 0,
    window: int = 256,
    longer: float = 1.5,
    payload_patterns: Sequence[str] = (),
    medium: Medium = TEXTS,
    wins: int = 1,
) -> Iterator[Outcome]:
    """The same, each outcome as soon as those before it are known: seeds may come without end, memory stays as it is."""
    queue, waiting, live, down = iter(seeds), deque[Outcome](), list[_Live](), 0
    while True:
        fresh = list(itertools.islice(queue, window - len(live)))
        if not fresh and not live:
            return
        clean = violation_scores(target, [s.text for s in fresh], failed_ok=True)
        for item, score in zip(fresh, clean.tolist(), strict=True):
            status: Status = "failed" if math.isnan(score) else "missed" if score <= target.threshold else "survived"
            outcome = Outcome(item, score, status)
            waiting.append(outcome)
            if outcome.status == "survived" and budget > 1:
                search = strategy.search(item, float(score), target.threshold, Random(digest(seed, item.id)))
                unfit = medium.bounds(item.text, longer=longer, patterns=payload_patterns)
                live.append(_Live(outcome, search, {item.text}, unfit))
                live[-1].hear(None)
        _answer(live, target, budget)
        live = _living(live)
        _tick(live, target, judge, budget, judge_budget, medium, wins)
        live = _living(live)
        unknown = {id(one.outcome) for one in live}
        while waiting and id(waiting[0]) not in unknown:
            down = down + 1 if waiting[0].status == "failed" else 0
            if down == DOWN:
                raise TargetFailed(f"expected scores, the target failed on {down} seeds one after the other")
            yield waiting.popleft()


def _living(live: list[_Live]) -> list[_Live]:
    """Those whose search goes on. Of one that is over without a single score nothing is known: the target failed on it."""
    for one in live:
        if one.failed and not (one.scored or one.proposed or one.asked):
            one.outcome.status = "failed"
    return [one for one in live if one.proposed or one.asked]


def _answer(live: list[_Live], target: Target, budget: int) -> None:
    """Answers what searches ask for, all of a kind together, until each proposes candidates or is over."""
    while asking := [(one, one.asked) for one in live if one.asked]:
        for kind in dict.fromkeys(type(asked) for _, asked in asking):
            mine = []
            for one, asked in asking:
                if type(asked) is kind and one.outcome.queries + asked.queries <= budget:
                    mine.append((one, asked))
                elif type(asked) is kind:
                    one.end()
            answers = kind.answer([asked for _, asked in mine], target) if mine else []
            for (one, asked), answer in zip(mine, answers, strict=True):
                one.outcome.queries += asked.queries
                one.outcome.prompts += asked.asks
                one.hear(answer)


def _tick(live: list[_Live], target: Target, judge: Judge, budget: int, judge_budget: int, medium: Medium, wins: int) -> None:
    """Scores what every live search proposed in one batch, confirms the hits, judges them, and tells."""
    asked: list[tuple[_Live, int]] = []
    for one in live:
        left, one.told = budget - one.outcome.queries, []
        for i, candidate in enumerate(one.proposed):
            reason = _unfit(one, candidate) or ("" if left > 0 else "over budget")
            one.told.append(Told(candidate, None, False, reason))
            if not reason:
                one.seen.add(candidate.text)
                asked.append((one, i))
                left -= 1
        one.idle = one.idle + 1 if left == budget - one.outcome.queries else 0
    hits = []
    scores = violation_scores(target, [one.told[i].candidate.text for one, i in asked], failed_ok=True)
    for (one, i), score in zip(asked, scores.tolist(), strict=True):
        one.outcome.queries += 1
        if math.isnan(score):
            one.failed = True
            one.refuse(i, "failed")
            continue
        one.scored = True
        hit = bool(score <= target.threshold)
        one.told[i] = Told(one.told[i].candidate, score, hit, "" if hit else "caught")
        if hit:
            one.outcome.evaded = True
            hits.append((one, i))
    standing = _confirm(hits, target, budget, medium)
    for one, _ in standing:
        one.outcome.stood = True
    _judge(standing, judge)
    for one in live:
        won = (one.outcome.sample is not None) + len(one.outcome.further)
        spent = one.outcome.queries >= budget or won + len(one.outcome.rejected) >= judge_budget
        done = won >= wins or spent or one.idle >= PATIENCE
        if done:
            one.end()
        else:
            one.hear(one.told)


def _unfit(one: _Live, candidate: Candidate) -> str:
    """The cheap checks, before any query."""
    if candidate.text in one.seen:
        return "duplicate"
    return one.unfit(candidate.text)


def _confirm(hits: list[tuple[_Live, int]], target: Target, budget: int, medium: Medium) -> list[tuple[_Live, int]]:
    """The hits that are still hits when a normaliser went over them: what it undoes is no hard example."""
    kept, pending = [], []
    for one, i in hits:
        text = one.told[i].candidate.text
        flat = medium.flat(text)
        if flat == text:
            one.told[i] = replace(one.told[i], flat_score=one.told[i].score)
            kept.append((one, i))
        elif flat in one.seen:
            one.refuse(i, "undone by a normaliser")
        elif one.outcome.queries >= budget:
            one.refuse(i, "over budget")
        else:
            one.seen.add(flat)
            one.outcome.queries += 1
            pending.append((one, i, flat))
    scores = violation_scores(target, [flat for *_, flat in pending], failed_ok=True)
    for (one, i, _), score in zip(pending, scores.tolist(), strict=True):
        one.told[i] = replace(one.told[i], flat_score=None if math.isnan(score) else score)
        if score <= target.threshold:
            kept.append((one, i))
        else:
            one.refuse(i, "undone by a normaliser")
    return kept


def _judge(hits: list[tuple[_Live, int]], judge: Judge) -> None:
    """Asks about the most preferred hit of each seed; the others are told as hits that were not judged."""
    first: dict[int, tuple[_Live, int]] = {}
    for one, i in sorted(hits, key=lambda hit: hit[1]):
        if id(one) in first:
            one.refuse(i, NOT_JUDGED, hit=True)
        first.setdefault(id(one), (one, i))
    hits = list(first.values())
    seeds = [one.outcome.seed for one, _ in hits]
    verdicts = judge.assess([s.text for s in seeds], [o.told[i].candidate.text for o, i in hits], [s.label for s in seeds])
    for (one, i), verdict in zip(hits, verdicts, strict=True):
        answer, outcome = one.told[i], one.outcome
        if not verdict.valid:
            outcome.rejected.append((answer.candidate, float(answer.score or 0), verdict.reason))
            one.refuse(i, verdict.reason, hit=True)
        else:
            if outcome.sample is None:
                outcome.status, outcome.sample = "success", answer.candidate
                outcome.score, outcome.flat_score, outcome.verdict = answer.score, answer.flat_score, verdict
            else:
                outcome.further.append((answer, verdict))
            one.refuse(i, WON, hit=True)
