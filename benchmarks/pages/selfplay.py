"""The self-play's part of docs/benchmarks.md."""

from __future__ import annotations

from typing import Any

from .tables import number, table

HEAD = """## Self-play: five rounds against two classifiers

The data and splits of the attack figures. `strong` and `minilm` are trained, attacked and retrained for five rounds by the loop
that `sparring run` runs (`benchmarks/selfplay.py` holds the job): training seeds out of fold, successes kept when payload,
length and meaning are, six benign look-alikes for each. A gate on validation rows decides which classifier goes on. Up to three
successes are sought on a seed, and mining chooses three for every four seeds. `minilm` begins with a linear head on frozen
embeddings and is retrained with a kernel head, its control arms too: `same_data_new_seed` is what that alone is worth.

`valid_asr_drop`, `left_out_drop`: the attack of the section above, at its cap and by its definitions, on the first classifier
and on the newest that passed a gate. For `left_out_drop` the loop ran once more for each family of operators without any of it,
and that family alone attacks; the worst family counts, of those that got past the first classifier in a tenth of the seeds.
`asr_frozen`: the first round's successes on test seeds that still pass. `clean_f1_low`: lower bound (2.5%) of the paired
bootstrap of the change in F1 on test rows. `fpr_benign_worst`: false positives on all benign test rows changed by an operator,
the worst of all. `valid_asr_fresh` compares with the control arms by the job's own attack and audit judge, beside the best of
them, and `ahead_of_arms` is by how much ours is below it; an arm is trained once on as many rows and meets no gate. A setting
without tables was not run to its end.
"""


def tables(details: dict[str, Any]) -> str:
    parts = []
    for setting, found in details.items():
        parts.append(f"### Self-play on {setting}\n")
        parts.append(f"Run at commit {found['commit']}.\n")
        names = ["round", "valid ASR (job's own)", "ASR", "frozen", "queries", "clean F1", "worst FP on perturbed benign"]
        parts.append(table([*names, "rows added so far", "gate"], [_round(entry) for entry in found["rounds"]]))
        sides = [[name, *_side(found["attack"][name])] for name in ("first", "last")]
        parts.append(table(["classifier", "seeds", "ASR", "after a normaliser", "valid ASR", "queries"], sides))
        left = [
            [family, ", ".join(f["trained_without"]) or "never among the defaults", *(_asr(f[s]) for s in ("first", "last"))]
            for family, f in found["left_out"].items()
        ]
        parts.append(table(["family alone", "left out of training", "valid ASR on the first", "on the last"], left))
        arms = [
            [name, *(number(arm[key][0]) for key in ("valid_asr_fresh", "asr_fresh", "clean_f1")), str(arm["rows"])]
            for name, arm in found["arms"].items()
        ]
        parts.append(table(["arm", "valid ASR", "ASR", "clean F1", "rows added"], arms))
    return "\n".join(parts)


def _round(entry: dict[str, Any]) -> list[str]:
    figures = [entry["valid_asr_fresh"], entry["asr_fresh"], entry["asr_frozen"]]
    shown = [number(f and f[0]) for f in figures]
    clean, worst = entry["clean"]["f1"][0], entry["fpr_benign_perturbed"]["worst"][0]
    gate = {None: "", True: "passed", False: "held back"}[entry["promoted"]]
    queries = number(entry["queries_per_seed"])
    return [str(entry["round"]), *shown, queries, number(clean), number(worst), str(entry["added_rows"]), gate]


def _side(found: dict[str, Any]) -> list[str]:
    shares = [number(found[key]) for key in ("asr", "asr_normalised", "valid_asr")]
    return [str(found["seeds"]), *shares, number(found["queries"])]


def _asr(found: dict[str, Any]) -> str:
    return f"{number(found['valid_asr'])} of {found['seeds']}"
