"""Writes the generated part of attacks.md: `python docs/make_attacks.py`."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from random import Random

from sparring import registry
from sparring.jobs import AttackSettings

PAGE = pathlib.Path(__file__).with_name("attacks.md")
BEGIN, END = "<!-- made by docs/make_attacks.py: begin -->\n", "<!-- made by docs/make_attacks.py: end -->\n"
# Harmless, in no data set; the second for what leaves Latin letters alone.
TEXTS = (
    "Buy 2 large tickets now and receive a free prize! Please call 08452810075 or visit www.prize.com",
    "Поздравляем! Вы выиграли приз, позвоните 08452810075",
)
STRENGTH, SEED = 0.4, 5
FAMILIES = ("character", "word", "script", "language", "dilution", "context")
OURS = ("sparring.", "redteam.")  # not what another distribution has registered


def generated() -> str:
    """The lists of operators and strategies, and what each operator makes of one of `TEXTS`."""
    return "\n".join([*_operators(), "", *_strategies()]) + "\n"


def page() -> str:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{generated()}\n{END}{rest.partition(END)[2]}"


def _operators() -> Iterator[str]:
    default = AttackSettings().operators
    yield "## Operators"
    yield ""
    yield f"What each makes at strength {STRENGTH}, seed {SEED}, of:"
    yield from ("", *(f"    {text}" for text in TEXTS))
    operators = [registry.make("operator", name) for name in _ours("operator")]
    for operator in sorted(operators, key=lambda op: FAMILIES.index(op.family)):
        results = [operator.apply(text, strength=STRENGTH, rng=Random(SEED)) for text in TEXTS]
        example = next(result for result, text in zip(results, TEXTS, strict=True) if result != text)
        yield from ("", f"### `{operator.name}`", "", type(operator).__doc__ or "", "")
        yield f"- family: {operator.family}{'; in a job by default' if operator.name in default else ''}"
        yield f"- preserves: {operator.preserves}"
        yield f"- undone by: {operator.undone_by or 'no canonical form'}"
        yield from ("", *(f"    {line}" for line in example.split("\n")))


def _strategies() -> Iterator[str]:
    yield "## Strategies"
    yield ""
    for name in _ours("attack"):
        lines = (registry.find("attack", name).__doc__ or "").strip().split("\n\n")[0].split("\n")
        yield f"- `{name}`: {' '.join(map(str.strip, lines))}"


def _ours(kind: str) -> list[str]:
    return [name for name, where in sorted(registry.table()[kind].items()) if where.startswith(OURS)]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
