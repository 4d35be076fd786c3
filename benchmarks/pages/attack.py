"""The attack's part of docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

from .tables import number, table

SETTINGS = ("word", "strong", "minilm", "profanity")
EMBEDDED = "embedded_a_sample"  # by guide or judge
BUDGETS = ("10", "25", "40", "60", "100", "200")
HEAD = """## Attack: ours against TextAttack, nlpaug and PyRIT

UCI SMS spam, split by near-duplicate group (half for training, a tenth each for the threshold and the judges, 0.3 for test).
Targets: `word` (TF-IDF of words and pairs, logistic regression), `strong` (with character n-grams), `minilm` (frozen MiniLM,
logistic regression), each at 1% false positives on validation; `profanity` (alt-profanity-check as published, at 0.5). The
seeds are the first test rows of spam that the target catches, the same for all; a recipe with fewer says so.

A sample is *valid* when payload (phones, links, amounts), length (1.5 times the seed's and 20 characters) and meaning (MiniLM
cosine of at least 0.8 to the seed, both in canonical form) are kept. *Valid ASR* counts those valid samples that the target
still calls benign after a normaliser (canonical form) went over them, over all seeds. *ASR* counts every sample that got past,
readable or not. *Queries* are all scores that the target returned for a seed, the clean check among them; ours are capped, and
the warm-up of at most 2,000 queries on training rows stands apart. *ms a sample* leaves out judge and guide; *s a valid
success* pays for them, and for a peer without a judge it adds the time to judge its successes. All times are of the CPU.

What bounds two of the goals stands beside them: `seconds_ratio_least` is what the clean check and one candidate take in the
target alone, and `target_share_most` the share of the target when the same candidates are proposed once more at no cost, so
that the engine's checks of payload, length and canonical form are all that is left. `seconds_ratio_guided` counts the guide
in: on `minilm` it is the target's own encoder, and its texts stand for queries that are not asked.

Ours runs with a job's default operators, `filler`, and the strategy `greedy`. `textfooler_valid` is TextFooler-like with our
validity as a constraint on every candidate; the others know of no validity. TextFooler-like has GloVe neighbours and no
sentence encoder (`benchmarks/peers/textattack_run.py` says what differs). nlpaug and PyRIT change a text once, without asking
the target.
"""


def tables(details: dict[str, Any]) -> str:
    parts = []
    if older := [f"`{name}`" for name in SETTINGS if EMBEDDED not in details[name]["ours"]]:
        told = "times are of the wall clock, operators the defaults without `filler`, and no bounds were measured"
        parts.append(f"The tables of {', '.join(older)} are of an earlier version of this benchmark: {told}.\n")
    if len({*details.get("commits", {}).values()}) > 1:
        told = ", ".join(f"`{name}` {commit}" for name, commit in details["commits"].items())
        parts.append(f"Parts were run at different commits: {told}.\n")
    for setting in SETTINGS:
        ours, peers = details[setting]["ours"], details[setting]["peers"]
        rows = [_row("**ours**", ours), *(_row(name, peers[name]) for name in sorted(peers, key=lambda n: _rank(peers[n])))]
        names = ["recipe", "seeds", "ASR", "after a normaliser", "valid ASR", "queries", "ms a sample", "in the target"]
        parts += [f"### {setting}\n", table([*names, "s a valid success"], rows)]
        warm = f"{ours['warmup']['queries']} queries, {number(ours['warmup']['seconds'])} s with the guide"
        embedded = f"; then {number(ours['embedded_a_sample'])} texts a sample were embedded" if EMBEDDED in ours else ""
        parts.append(f"Warm-up of ours: {warm}{embedded}.\n")
        curves = {"**ours**": ours, **{n: p for n, p in peers.items() if "asr" in p and p["queries"] > 2}}
        parts.append(f"Valid ASR by budget of queries ({setting}):\n")
        parts.append(
            table(["recipe", *BUDGETS], [[n, *(number(f["by_budget"][b]) for b in BUDGETS)] for n, f in curves.items()])
        )
    ours = details["strong"]["ours"]
    kinds = ", ".join(f"{name} {n}" for name, n in ours["operators"].items())
    parts.append(
        f"Operators among the successes on `strong`: {kinds}; effective number {number(ours['effective_operators'])}, "
        f"of families {number(ours['effective_families'])}.\n"
    )
    parts.append("### A family by itself, on strong\n")
    parts.append(table(["family", "valid ASR"], [[name, number(v)] for name, v in details["families_alone"].items()]))
    if "strategies" in details:
        parts += _strategies(details["strategies"])
    parts.append("### Cost as seeds grow, on word\n")
    growth = [[f"{g['seeds']:,}", number(1000 * g["seconds_a_sample"]), number(g["peak_mib"])] for g in details["growth"]]
    parts.append(table(["seeds", "ms a sample", "peak memory, MiB"], growth))
    return "\n".join(parts)


def _strategies(found: dict[str, Any]) -> list[str]:
    names = ["strategy", "seeds", "ASR", "after a normaliser", "valid ASR", "queries", "ms a sample", "in the target"]
    rows = [_row(f"`{kind}`", one) for kind, one in sorted(found.items(), key=lambda pair: _rank(pair[1]))]
    told = (
        "The same warm-up, operators and cap; `learned` without a trained policy, `hotflip` with the exact gradient. `pair` "
        "and `tap` want a language model that can write: no figures.\n"
    )
    return ["### Our strategies side by side, on strong\n", told, table([*names, "s a valid success"], rows)]


def _rank(peer: dict[str, Any]) -> tuple[float, float]:
    return (-peer.get("valid_asr", -1.0), -peer.get("asr", -1.0))


def _row(name: str, found: dict[str, Any]) -> list[str]:
    if "unavailable" in found:
        return [name, "not available", *[""] * 7]
    shares = [number(found[key]) for key in ("asr", "asr_normalised", "valid_asr")]
    times = [number(found["queries"]), number(1000 * found["seconds_a_sample"]), number(found["target_share"])]
    return [name, str(found["seeds"]), *shares, *times, number(found["seconds_a_valid_success"])]
