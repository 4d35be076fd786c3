import runpy
from pathlib import Path
from typing import Any

import pytest

from sparring.advice import Advice, advice, verdict

MADE = runpy.run_path(str(Path(__file__).with_name("summaries.py")))
NAMES = ("around", "arm", "changed", "full", "one_round", "COVERAGE")
around, arm, changed, full, one_round, COVERAGE = (MADE[name] for name in NAMES)


@pytest.fixture
def summary() -> dict[str, Any]:
    return full()


def said(lines: list[Advice], section: str | None = None) -> str:
    return "\n".join(f"{line.level}: {line.text.striptags()}" for line in lines if section in (None, line.section))


def test_the_verdict_is_made_from_the_figures(summary):
    assert [line.striptags() for line in verdict(summary)] == [
        "In round 0, an attacker with 50 queries gets 58% [49–66%] of caught violations past the classifier while they "
        "still violate; after 3 rounds 12% [6.6–18%].",
        "Clean F1 went from 0.953 to 0.951.",
        "Of the samples that beat round 0, 3.8% still pass.",
        "Promoted: rounds 1, 2, 3.",
        "Worst operator on benign rows: leet, 3.1% false positives.",
    ]


def test_the_verdict_owns_up(summary):
    summary["rounds"][-1]["valid_asr_fresh"] = [0.55, 0.46, 0.63, 121]
    assert "no clear change" in verdict(summary)[0]
    summary["rounds"][-1]["valid_asr_fresh"] = [0.75, 0.7, 0.8, 121]
    assert "it got worse" in verdict(summary)[0]
    summary["rounds"][-1]["valid_asr_fresh"] = 0.5
    assert verdict(summary)[0].striptags().endswith("50%.")
    for r in summary["rounds"]:
        r.update(valid_asr_fresh=None, promoted=False)
    assert "was not judged" in verdict(summary)[0]
    assert "66%" in verdict(summary)[0]
    assert "Promoted: none." in [line.striptags() for line in verdict(summary)]
    summary["rounds"] = [one_round(0)]
    assert "; after" not in verdict(summary)[0]
    assert "through, most of all by character (52%). This is the classifier as it came" in said(advice(summary))
    assert verdict(summary)[1].striptags() == "Clean F1 is 0.953."


OURS = "Ours wins against each control arm: 12% [7.4–18%] valid ASR, the best of the others"
LAST, PERTURBED, CLAUSES = "rounds/-1", "rounds/-1/fpr_benign_perturbed", "archive/axes/clause"
AHEAD, LEVEL, FAR = arm(0.1), arm(0.124), arm(0.01)
TWINS = {"tried": 80, "kept": 40, "blocked": 7, "without": 0}
RULES = [
    ("rounds", {}, "good: Use the classifier of round 3, the newest that passed the gate."),
    ("rounds", {"rounds/2/promoted": False, "rounds/2/gate_reason": "F1 fell."}, "act: Round 2 was not promoted: F1 fell."),
    ("rounds", {"rounds/2/promoted": False, "rounds/2/gate_reason": None}, "not promoted: no reason was recorded."),
    ("rounds", {f"rounds/{r}/promoted": False for r in (1, 2, 3)}, "act: Keep the classifier that you have"),
    ("arms", {}, f"good: {OURS} 24% [19–30%]."),
    ("arms", {"arms/another": arm(0.15)}, f"watch: {OURS} 15% [10–21%], but the intervals overlap with: another."),
    ("arms", {"arms/random_operators": FAR}, '"random operators, no search" is ahead of ours: 1.0% [0–7.0%] valid ASR'),
    ("arms", {"arms/random_operators": LEVEL}, '"random operators, no search" is level with ours'),
    ("arms", {"arms/random_operators": AHEAD}, "not settled. Taken at face value, random edits teach as much; the search"),
    ("arms", {"arms/same_data_new_seed": AHEAD}, "attack rows added nothing measurable"),
    ("arms", {"arms/without_mining": AHEAD}, "leave the mining out"),
    ("families", {}, "watch: The attacker still gets 12% through, most of all by dilution (9.1%). Publish more rows"),
    ("families", {f"{LAST}/valid_asr_fresh": around(0.4)}, "act: The attacker still gets 40% through"),
    ("families", {f"{LAST}/by_family/character": around(0.2)}, "by character (20%). A text normaliser comes first"),
    ("families", {f"{LAST}/by_family/character": around(0.2)}, "act: Character tricks get 20% through. A text normaliser"),
    ("attack", {f"{LAST}/by_family": {}}, "watch: The attacker still gets 12% through. Spar on."),
    ("attack", {f"{LAST}/valid_asr_fresh": around(0.4)}, "learnt (3.8% of them pass) but new ones are found (40%)"),
    ("attack", {f"{LAST}/valid_asr_fresh": around(0.1, 60)}, "watch: Only 60 held-out seeds were attacked"),
    ("attack", {f"{LAST}/asr_fresh": around(0.3)}, "watch: Raw ASR is 30%, valid ASR 12%: the difference are samples"),
    ("benign", {f"{PERTURBED}/worst": around(0.08)}, "act: leet on benign rows raises 8.0% false positives (limit 5%)"),
    (
        "benign",
        {"rounds/0/benign_twins": TWINS},
        "watch: The classifier wrongly blocked 7 benign look-alikes of the successes.",
    ),
    (
        "benign",
        {"rounds/0/benign_twins": TWINS | {"without": 1}},
        "watch: 1 hard example came of no operator but of a language",
    ),
    ("clean", {f"{LAST}/clean/f1": around(0.92)}, "act: Robustness was paid for with clean quality: F1 fell by 0.033"),
    ("data", {}, "act: 37 rows of your data may carry a wrong label."),
    ("coverage", {CLAUSES: [*COVERAGE, "S9"]}, "watch: No hard example touches this clause: S9. Add seeds for it."),
    ("coverage", {CLAUSES: [*COVERAGE, "S9", "S8"]}, "touches 2 clauses: S9, S8. Add seeds for them."),
    ("yield", {f"rounds/{r}/accepted": 10 for r in range(4)}, 'only 40 were accepted; most fell to "not violating"'),
    ("run", {"rounds/1/unsteady": 0.02}, "act: The classifier answers differently for the same input, by up to 0.020."),
    ("run", {f"{LAST}/failed_seeds": 3}, "act: The classifier gave no score for 3 seeds; they are in no rate."),
    ("judges", {"judges/audit/false_positive_rates/negated": around(0.4)}, 'calls 40% of the challenge rows "negated"'),
    ("judges", {"judges/audit/true_positive_rate": around(0.7)}, "knows only 70% of true violations"),
]


@pytest.mark.parametrize(("section", "changes", "expected"), RULES, ids=[text[:40] for _, _, text in RULES])
def test_each_rule_of_what_to_do(summary, section, changes, expected):
    before = said(advice(summary), section)
    after = said(advice(changed(summary, changes)), section)
    assert expected in after
    assert not changes or expected not in before


def test_a_run_without_fault_gets_no_orders(summary):
    changed(summary, {"label_issues": 0, f"{LAST}/valid_asr_fresh": around(0.03), f"{LAST}/asr_fresh": around(0.04)})
    lines = said(advice(summary)).splitlines()
    assert {line.split(":")[0] for line in lines} == {"good"}
    assert lines[-1] == "good: None of the rules behind this list found anything to mend."


def test_what_is_urgent_stands_first(summary):
    levels = [line.level for line in advice(changed(summary, {f"{LAST}/asr_fresh": around(0.5)}))]
    assert levels == sorted(levels, key=("act", "watch", "good").index)
    assert set(levels) == {"act", "watch", "good"}
    assert "Ours wins" not in said(advice(changed(summary, {"arms/random_operators": AHEAD})))
