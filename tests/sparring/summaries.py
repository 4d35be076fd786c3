"""A summary as a run writes it, for the tests of what is made of one; loaded by `runpy`."""

from __future__ import annotations

from typing import Any

VALID = ((0.583, 0.494, 0.662), (0.314, 0.231, 0.397), (0.182, 0.116, 0.256), (0.124, 0.066, 0.182))
FAMILIES = {"character": (0.52, 0.18, 0.07, 0.033), "word": (0.21, 0.16, 0.1, 0.074), "dilution": (0.34, 0.22, 0.13, 0.091)}
OPERATORS = {"leet": (0.071, 0.031), "spacing": (0.062, 0.024), "homoglyph": (0.048, 0.012), "full_width": (0.037, 0.014)}
OPERATORS |= {"typo": (0.021, 0.016), "texting": (0.018, 0.018), "zero_width": (0.012, 0.009), "dilution": (0.004, 0.0)}
PAYOFF = ((0.583, 0.146, 0.083, 0.041), (0.571, 0.314, 0.157, 0.099), (0.61, 0.339, 0.182, 0.11), (0.6, 0.32, 0.21, 0.124))
COVERAGE = {"S1 prize and lottery": (212, 96, 71), "S2 premium-rate services": (158, 44, 82), "S3 loans": (61, 0, 12)}
FIGURES = {"coverage": 0.8889, "qd_score": 7.13, "filled": 8, "reachable": 9, "successes": 736, "novelty": 0.317}


def around(value: float, n: int = 1166, width: float = 0.01) -> list[float]:
    return [value, round(max(0.0, value - 0.9 * width), 4), round(min(1.0, value + 1.1 * width), 4), n]


def one_round(r: int) -> dict[str, Any]:
    at, f1 = min(r, 1), around((0.9531, 0.9517, 0.9502, 0.9508)[r], 1340, 0.024)
    return {
        "round": r, "threshold": (0.412, 0.447, 0.463, 0.458)[r], "seconds": 58.4,
        "clean": {"f1": f1, "precision": around(0.96 + 0.002 * r), "recall": around(0.944 - 0.002 * r),
                  "fpr": around(0.008), "pr_auc": around(0.981)},
        "per_category": {"spam": {"f1": f1, "precision": around(0.96), "recall": around(0.94)}},
        "asr_fresh": around((0.661, 0.38, 0.24, 0.165)[r], 121, 0.08), "valid_asr_fresh": [*VALID[r], 121],
        "valid_asr_held_out": around((0.4, 0.37, 0.33, 0.31)[r], 121, 0.08), "archive": FIGURES if r < 3 else None,
        "asr_frozen": around((1.0, 0.137, 0.075, 0.038)[r], 80, 0.06),
        "by_family": {name: around(values[r], 121, 0.06) for name, values in FAMILIES.items()},
        "fpr_benign_perturbed": {
            "mean": around((0.034, 0.0155)[at]), "worst": around((0.071, 0.031)[at]), "worst_operator": "leet",
            "by_operator": {name: around(values[at]) for name, values in OPERATORS.items()}},
        "queries_per_seed": (21.4, 33.9, 40.2, 43.7)[r], "warmup_queries": 1500,
        "generated": (1940, 1820, 1765, 1790)[r], "accepted": (412, 366, 301, 288)[r],
        "rejected": {"not_violating": 980 - 20 * r, "too_far": 310, "payload_changed": 121 + r, "duplicate": 64},
        "promoted": True if r else None, "gate_reason": "clean F1 held and robustness rose" if r else "",
    }  # fmt: skip


def arm(asr: float, f1: float = 0.95, fpr: float = 0.02) -> dict[str, Any]:
    return {"valid_asr_fresh": around(asr, 121, 0.055), "asr_fresh": around(asr + 0.04, 121, 0.055), "clean_f1": around(f1),
            "fpr_benign_perturbed_mean": around(fpr), "rows": 1367}  # fmt: skip


def judge(name: str, tpr: float) -> dict[str, Any]:
    wrong = {"payload_removed": around(0.182, 66), "negated": around(0.136, 66), "replaced_by_benign": around(0.011, 66)}
    return {"name": name, "rows": 453, "true_positive_rate": around(tpr, 66), "false_positive_rates": wrong,
            "clean": {"f1": around(0.93), "pr_auc": around(0.97)}}  # fmt: skip


def archive() -> dict[str, Any]:
    cells = [
        {"clause": clause, "family": family, "language": "en", "count": n, "id": f"{n}-0", "objective": 0.91, "novelty": 0.4}
        for clause, counts in COVERAGE.items()
        for family, n in zip(FAMILIES, counts, strict=True)
        if n
    ]
    return FIGURES | {"axes": {"clause": [*COVERAGE], "family": [*FAMILIES], "language": ["en"]}, "cells": cells}


def full() -> dict[str, Any]:
    return {
        "name": "sms_spam", "seconds": 241.7, "seed": 7, "budget": 50, "label_issues": 37, "near_duplicate_groups": 214,
        "policy": {"name": "spam", "version": "1.2.0", "content_hash": "9f2c1e7ab3d04415aa"},
        "target": "scikit-learn: word 1-2 grams and character 2-5 grams, logistic regression",
        "rounds": [one_round(r) for r in range(4)],
        "payoff": [[around(v, 121, 0.06) for v in row] for row in PAYOFF],
        "arms": {"ours": arm(0.124, 0.9508, 0.0155), "same_data_new_seed": arm(0.537, 0.9522, 0.035),
                 "random_operators": arm(0.281, 0.949, 0.017), "without_mining": arm(0.237, 0.9487, 0.021)},
        "judges": {"filter": judge("MiniLM + LR", 0.941), "audit": judge("WordLlama + LR", 0.912)},
        "dataset": {"path": "runs/sms_spam/round-03/dataset", "rows": 5900,
                    "splits": {"train": 3633, "validation": 454, "judge": 453, "test": 1360}},
        "versions": {"sparring": "0.1.0", "python": "3.12.3", "torch": "2.13.0", "scikit-learn": None},
        "archive": archive(), "held_out": ["full_width", "texting"],
        "forgetting": {"worst": {"attacker": 1, "target": 2, "forgotten": 0.02}, "by_attacker": []},
    }  # fmt: skip


def changed(summary: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` maps a path such as `rounds/-1/clean/f1` to its new value."""
    for path, value in changes.items():
        *parents, key = path.split("/")
        place: Any = summary
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place[parent]
        place[key] = value
    return summary
