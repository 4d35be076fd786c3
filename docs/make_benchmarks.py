"""Writes docs/benchmarks.md from benchmarks/results/*.json, so that no figure there is typed by hand.

python docs/make_benchmarks.py
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "benchmarks.md"
BUDGETS = ("10", "25", "40", "60", "100", "200")

HEAD = """# Benchmarks

Made by `docs/make_benchmarks.py` from `benchmarks/results/`, which `make bench` writes; no figure here is typed.
"""
ATTACK = """## Attack: ours against TextAttack, nlpaug and PyRIT

UCI SMS spam, split by near-duplicate group (half for training, a tenth each for the threshold and the judges, 0.3 for test).
Targets: `word` (TF-IDF of words and pairs, logistic regression), `strong` (with character n-grams), `minilm` (frozen MiniLM,
logistic regression), each at 1% false positives on validation; `profanity` (alt-profanity-check as published, at 0.5). The
seeds are the first test rows of spam that the target catches, the same for all; a recipe with fewer says so.

A sample is *valid* when payload (phones, links, amounts), length (1.5 times the seed's and 20 characters) and meaning (MiniLM
cosine of at least 0.8 to the seed, both in canonical form) are kept. *Valid ASR* counts those valid samples that the target
still calls benign after a normaliser (canonical form) went over them, over all seeds. *ASR* counts every sample that got past,
readable or not. *Queries* are all scores that the target returned for a seed, the clean check among them; ours are capped, and
the warm-up of at most 2,000 queries on training rows stands apart. *ms a sample* leaves out judge and guide; *s a valid
success* pays for them, and for a peer without a judge it adds the time to judge its successes.

Ours runs with a job's default operators and its strategy `greedy`. `textfooler_valid` is TextFooler-like with our validity as a
constraint on every candidate; the others know of no validity. TextFooler-like has GloVe neighbours and no sentence encoder
(`benchmarks/peers/textattack_run.py` says what differs). nlpaug and PyRIT change a text once, without asking the target.
"""


def page() -> str:
    parts = [HEAD]
    if found := _read("attack"):
        parts += [ATTACK, _goals(found), _attack(found["details"]), _where(found)]
    return "\n".join(parts)


def _read(name: str) -> dict[str, Any] | None:
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _goals(found: dict[str, Any]) -> str:
    """The figures that have a goal, met or not."""
    rows = []
    for row in found["rows"]:
        if row["ours"] is None:
            continue
        goal = row["goal"]
        met = (
            ""
            if goal is None
            else "yes"
            if (row["ours"] >= goal) == row["higher_is_better"] or row["ours"] == goal
            else "**no**"
        )
        wanted = "" if goal is None else f"{'>=' if row['higher_is_better'] else '<='} {_number(goal)}"
        peer = f"{_number(row['peer'])} ({row['peer_name']})" if row["peer"] is not None else ""
        rows.append([row["setting"], f"`{row['metric']}`", row["unit"], _number(row["ours"]), peer, wanted, met])
    return _table(["setting", "figure", "unit", "ours", "best peer", "goal", "met"], rows)


def _attack(details: dict[str, Any]) -> str:
    parts = []
    for setting in ("word", "strong", "minilm", "profanity"):
        ours, peers = details[setting]["ours"], details[setting]["peers"]
        rows = [_row("**ours**", ours), *(_row(name, peers[name]) for name in sorted(peers, key=lambda n: _rank(peers[n])))]
        names = ["recipe", "seeds", "ASR", "after a normaliser", "valid ASR", "queries", "ms a sample", "in the target"]
        parts += [f"### {setting}\n", _table([*names, "s a valid success"], rows)]
        asked = (
            f"Warm-up of ours: {ours['warmup']['queries']} queries, {_number(ours['warmup']['seconds'])} s with the guide; then"
        )
        parts.append(f"{asked} {_number(ours['guide_texts_a_sample'])} texts a sample were shown to the guide.\n")
        curves = {"**ours**": ours, **{n: p for n, p in peers.items() if "asr" in p and p["queries"] > 2}}
        parts.append(f"Valid ASR by budget of queries ({setting}):\n")
        parts.append(
            _table(["recipe", *BUDGETS], [[n, *(_number(f["by_budget"][b]) for b in BUDGETS)] for n, f in curves.items()])
        )
    ours = details["strong"]["ours"]
    kinds = ", ".join(f"{name} {n}" for name, n in ours["operators"].items())
    parts.append(
        f"Operators among the successes on `strong`: {kinds}; effective number {_number(ours['effective_operators'])}, "
        f"of families {_number(ours['effective_families'])}.\n"
    )
    parts.append("### A family by itself, on strong\n")
    parts.append(_table(["family", "valid ASR"], [[name, _number(v)] for name, v in details["families_alone"].items()]))
    parts.append("### Cost as seeds grow, on word\n")
    growth = [[str(g["seeds"]), _number(1000 * g["seconds_a_sample"]), _number(g["peak_mib"])] for g in details["growth"]]
    parts.append(_table(["seeds", "ms a sample", "peak memory, MiB"], growth))
    return "\n".join(parts)


def _rank(peer: dict[str, Any]) -> tuple[float, float]:
    return (-peer.get("valid_asr", -1.0), -peer.get("asr", -1.0))


def _row(name: str, found: dict[str, Any]) -> list[str]:
    if "unavailable" in found:
        return [name, "not available", *[""] * 7]
    shares = [_number(found[key]) for key in ("asr", "asr_normalised", "valid_asr")]
    times = [_number(found["queries"]), _number(1000 * found["seconds_a_sample"]), _number(found["target_share"])]
    return [name, str(found["seeds"]), *shares, *times, _number(found["seconds_a_valid_success"])]


def _where(found: dict[str, Any]) -> str:
    said = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    return f"Machine: {said}. Commit {found['commit']}. Times drift between machines; ratios in one run do not.\n"


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    return (
        f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}".rstrip("0").rstrip(".")
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
