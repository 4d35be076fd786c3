"""Puts a suite to a target and counts."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from sparring import __version__
from sparring.errors import UserError
from sparring.policy import Policy
from sparring.protocols import Target, answered, decided, probabilities, violation
from sparring.record import BENIGN

from .makers import Skip
from .report import Group, Outcome, Pairs, Report, Skipped, order
from .stats import Share, wilson
from .suite import Case, Suite


def examine(target: Target, suite: Suite, policy: Policy, *, name: str) -> Report:
    """Puts every case to the target, in one batch. Raises `UserError` for an empty suite, `TargetFailed` for an answer
    that is no probability."""
    if not suite.cases:
        reasons = "; ".join(dict.fromkeys(skip.reason for skip in suite.skipped)) or "it has no category with examples"
        raise UserError(f"the policy {policy.name!r} gives no case: {reasons}. Fix: examples in the policy, or a --cases file")
    texts = [case.record.text or "" for case in suite.cases]
    p = probabilities(target, texts, failed_ok=True)
    sound = answered(violation(p))
    outcomes = [
        _outcome(case, target.labels[int(number)], float(score))
        for case, number, score, ok in zip(suite.cases, decided(p, target.threshold), violation(p), sound, strict=True)
        if ok
    ]
    failed = [
        Skip(case.functionality, case.category, "the target gave no score")
        for case, ok in zip(suite.cases, sound, strict=True)
        if not ok
    ]
    return Report(
        version=__version__, target=name, threshold=round(float(target.threshold), 6),
        policy=policy.name, policy_version=policy.version, suite=suite.content_hash,
        pass_rate=_share(outcomes), functionalities=_groups(outcomes, lambda o: o.functionality, order),
        clauses=_groups(outcomes, lambda o: o.clause or o.category, _by_policy(policy)), pairs=_pairs(outcomes),
        languages=_groups(outcomes, lambda o: o.language or "", lambda name: (0, name)),
        other_category=sum(o.decided not in (o.category, BENIGN) for o in outcomes if o.expected == "violating"),
        skipped=_skipped([*suite.skipped, *failed]),
        outcomes=tuple(outcomes),
    )  # fmt: skip


def masked(text: str, width: int = 60) -> str:
    """The first letter of each word of several, at most `width` characters: enough to find a text again, not to read it."""
    words = ("".join(c for c in word if c.isalnum() or unicodedata.category(c)[0] == "M") for word in text.split())
    shown = " ".join(
        (word[0] if len(word) > 1 and word[0].isalpha() else "*") + "*" * min(len(word) - 1, 7) for word in words if word
    )
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def _outcome(case: Case, decided: str, score: float) -> Outcome:
    record = case.record
    passed = (decided == BENIGN) == (case.expected == "benign")
    return Outcome(
        id=record.id, functionality=case.functionality, category=case.category, clause=record.clause,
        pair_id=record.pair_id, language=record.language, expected=case.expected, decided=decided, score=round(score, 6),
        passed=passed, preview=None if passed else masked(record.text or ""),
    )  # fmt: skip


def _share(outcomes: Sequence[Outcome]) -> Share:
    return wilson(sum(outcome.passed for outcome in outcomes), len(outcomes))


def _groups(
    outcomes: list[Outcome], name: Callable[[Outcome], str], key: Callable[[str], tuple[int, str]]
) -> tuple[Group, ...]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(name(outcome), []).append(outcome)
    return tuple(_group(n, groups[n]) for n in sorted(groups, key=key))


def _group(name: str, outcomes: Sequence[Outcome]) -> Group:
    violating, benign = ([o for o in outcomes if o.expected == side] for side in ("violating", "benign"))
    sides = (_share(side) if side else None for side in (violating, benign))
    return Group(name=name, pass_rate=_share(outcomes), violating=next(sides), benign=next(sides))


def _by_policy(policy: Policy) -> Callable[[str], tuple[int, str]]:
    names = [name for c in policy.categories for name in (c.name, *(clause.id for clause in c.clauses))]
    return lambda name: (names.index(name), name)


def _skipped(skipped: Iterable[Skip]) -> tuple[Skipped, ...]:
    groups: dict[tuple[str, str], list[str]] = {}
    for skip in skipped:
        groups.setdefault((skip.functionality, skip.reason), []).append(skip.category)
    return tuple(
        Skipped(functionality=functionality, reason=reason, cases=len(found), categories=tuple(dict.fromkeys(found)))
        for (functionality, reason), found in sorted(groups.items(), key=lambda group: (order(group[0][0]), group[0][1]))
    )


def _pairs(outcomes: Iterable[Outcome]) -> Pairs | None:
    pairs: dict[str, dict[str, bool]] = {}
    for outcome in outcomes:
        if outcome.pair_id:
            pairs.setdefault(outcome.pair_id, {})[outcome.expected] = outcome.passed
    pairs = {name: pair for name, pair in pairs.items() if len(pair) == 2}  # the target may have failed on one side
    count = Counter((pair["violating"], pair["benign"]) for pair in pairs.values())
    if not pairs:
        return None
    return Pairs(
        consistent=wilson(count[True, True], len(pairs)), only_violating=count[True, False],
        only_benign=count[False, True], neither=count[False, False],
    )  # fmt: skip
