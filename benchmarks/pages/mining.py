"""Mining's part of docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

from .tables import number, table

HEAD = """## Mining: near duplicates, label scores, verdicts, active learning

Near duplicates: 1,000,000 and 4,000,000 unit vectors of 384 dimensions on disk (`benchmarks/miners/vectors.py`: uneven clusters
of low rank), 2% of them copied at a cosine near 0.98, found at cosine > 0.95. The baseline is SemDeDup's: k-means of 1,000
centroids, each row in its nearest two clusters, all pairs within a cluster, with all rows in memory. Recall is of the planted
pairs; a method's own measurement of its recall stands beside it. The flood has 60% of its rows in such pairs. One thread, CPU
seconds, ours and the baseline in turn in the same run, each in a process of its own.
"""
TITLES = {
    "neardup": "Near duplicates and imports",
    "minhash": "MinHash",
    "scores": "Label scores",
    "verdicts": "Verdicts",
    "active": "Active learning",
}


def tables(details: dict[str, Any]) -> str:
    parts = [_part(title, details[name]) for name, title in TITLES.items() if name in details]
    return "\n".join(parts)


def _part(title: str, details: dict[str, Any]) -> str:
    plain = {name: value for name, value in details.items() if not isinstance(value, dict | list)}
    lines = [f"### {title}\n"]
    if plain:
        lines.append(table(["", ""], [[name, _shown(value)] for name, value in plain.items()]))
    for name, value in details.items():
        rows = _rows(value)
        if rows:
            names = list(dict.fromkeys(key for row in rows for key in row))
            lines += [f"{name}:\n", table(names, [[_shown(row.get(key)) for key in names] for row in rows])]
    return "\n".join(lines)


def _rows(value: Any) -> list[dict[str, Any]]:
    """A list of rows, a dict of rows by name, or one row."""
    if isinstance(value, list):
        return [row if isinstance(row, dict) else {"": row} for row in value]
    if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
        return [{"": name, **row} for name, row in value.items()]
    return [value] if isinstance(value, dict) and value else []


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return "" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if isinstance(value, float) else ", ".join(map(_shown, value))
