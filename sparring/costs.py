"""What an accepted hard example cost, by the generator of its seed and by operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .meter import Meter
from .record import Record
from .results import AttackResult

OWN = "your rows"

Fought = Sequence[tuple[Record, AttackResult]]


def costs(meter: Meter, fought: Fought) -> dict[str, Any]:
    """`fought` are the training seeds that were attacked. An accepted hard example is a success that the filter judge held
    valid; a seed may yield several.

    A success counts for each operator of its chain by an equal share, its queries too; queries on seeds that nothing came of
    are shared out over all successes alike, and so is money, by queries: `queries` and `money` of a row sum to the whole.
    Tokens are those of the generator itself, whatever became of its texts.
    """
    totals, spent = meter.totals(), meter.spent()
    accepted = sum(len(r.successes) for _, r in fought)
    queries = sum(r.queries for _, r in fought)
    misses = sum(r.queries for _, r in fought if not r.successes)
    made: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    seeds: Counter[str] = Counter()
    by_operator: Counter[str] = Counter()
    operator_queries: Counter[str] = Counter()
    for seed, result in fought:
        maker = _maker(seed)
        seeds[maker] += 1
        asked[maker] += result.queries
        won = result.successes
        made[maker] += len(won)
        for success in won:
            names = list(dict.fromkeys(step.name for step in success.operators))
            queried = result.queries / len(won) + misses / max(1, accepted)
            for name in names:
                by_operator[name] += 1 / len(names)  # type: ignore[assignment]
                operator_queries[name] += queried / len(names)  # type: ignore[assignment]
    tokens = {m: sum(n for name, n in spent.items() if name in (f"read:{m}", f"written:{m}")) for m in seeds}
    written = {m: sum(meter.price(name, n) for name, n in spent.items() if name.partition(":")[2] == m) for m in seeds}
    rest = totals["money"] - sum(written.values())  # of the target and the processors: by queries

    def share(q: float) -> float:
        return rest * q / queries if queries else 0.0

    return {
        "accepted": accepted,
        **{name: round(value, 6) for name, value in totals.items()},
        "per_accepted": _each(accepted, queries=queries, tokens=totals["tokens"], money=totals["money"]),
        "by_generator": {
            m: {"seeds": seeds[m], "accepted": made[m]}
            | _both(made[m], queries=asked[m], tokens=tokens[m], money=written[m] + share(asked[m]))
            for m in sorted(seeds)
        },
        "by_operator": {
            name: {"accepted": round(n, 3)}
            | _both(n, queries=operator_queries[name], money=totals["money"] * operator_queries[name] / max(1, queries))
            for name, n in sorted(by_operator.items(), key=lambda pair: -pair[1])
        },
    }


def _both(accepted: float, **whole: float) -> dict[str, Any]:
    return {name: round(value, 6) for name, value in whole.items()} | _each(accepted, **whole)


def _each(accepted: float, **whole: float) -> dict[str, Any]:
    """Per accepted hard example; None where there is none."""
    return {f"{name}_each": round(value / accepted, 6) if accepted else None for name, value in whole.items()}


def _maker(seed: Record) -> str:
    return (seed.generator.model or seed.generator.name) if seed.generator else OWN
