"""Ours against TextAttack, nlpaug and PyRIT on the same targets, seeds and operating points, interleaved in one run.

    python benchmarks/attack.py               # about 45 minutes on 2 cores; peers' environments are made first
    python benchmarks/attack.py --quick       # ours beside the peers' stored figures
    python benchmarks/attack.py --only word growth    # these parts; the others' stored tables stay

Targets, payload and validity are those of `targets.py`. A success counts when the target calls the sample benign, once more
after a normaliser (canonical form), and valid when it keeps payload, length and meaning too. Times without judges leave out
what the judge and the guide took; a valid success pays for all. Warm-up on training rows stands apart. All times are those of
the CPU, one thread, so that what else the machine does counts little.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from benchmarks import shared, targets
from benchmarks.ours import Fitted, Ours
from benchmarks.shared import ROOT, Row
from redteam import engine
from redteam.engine import Seed
from redteam.judges.criteria import Length, PayloadKept
from redteam.learning.rewards import effective_number
from sparring import registry
from sparring.context import set_threads
from sparring.embed import MiniLM
from sparring.jobs import AttackSettings
from sparring.operators.base import WordOperator
from sparring.protocols import Embedder, violation_scores

CAPS = {"word": 40, "strong": 60, "minilm": 60, "profanity": 60}
BUDGETS = (10, 25, 40, 60, 100, 200)
SEEDS = {"word": 100, "strong": 100, "minilm": 50, "profanity": 100}
CONSTRAINED_SEEDS = {"word": 20, "strong": 20, "minilm": 10}  # of the recipe that asks our judge about every candidate
OPERATORS = [*AttackSettings().operators, "filler"]
KINDS = ("greedy", "beam", "restarts", "bandit", "evolution", "learned", "transfer", "hotflip")  # `pair`, `tap` want an LLM
PARTS = ("families_alone", "strategies", "growth")  # that stand beside the settings
FEW = 30  # seeds that the strategies are set side by side on
GROWTH = (100, 1_000, 10_000, 100_000)
GOALS = {"word": 0.95, "strong": 0.75, "minilm": 0.85}
BOUNDS = (  # beside `seconds_ratio`
    ("seconds_ratio_least", "two queries / peer", "seconds_two_queries"),
    ("seconds_ratio_guided", "ours with the guide / peer", "seconds_a_sample_guided"),
)
SEARCHES = ("deepwordbug", "pwws", "textfooler", "textfooler_valid", "pruthi")
ONE_SHOT = {
    "nlpaug": ("keyboard", "ocr", "random_char", "spelling"),
    "pyrit": ("leetspeak", "diacritic", "emoji", "confusable", "zero_width", "letter_spacing", "superscript", "base64"),
}
RECIPES = {  # setting -> (environment, recipe)
    "word": [*(("textattack", r) for r in SEARCHES), *((peer, r) for peer, recipes in ONE_SHOT.items() for r in recipes)],
    "strong": [*(("textattack", r) for r in SEARCHES), *((peer, r) for peer, recipes in ONE_SHOT.items() for r in recipes)],
    "minilm": [("textattack", r) for r in ("deepwordbug", "textfooler", "textfooler_valid")],
    "profanity": [("textattack", r) for r in ("deepwordbug", "pwws", "textfooler")],
}


def families() -> dict[str, list[str]]:
    """Every word operator that a normaliser does not undo, and dilution, by family; without `synonym`, whose tables the judge
    shares."""
    out: dict[str, list[str]] = {"dilution": ["dilution"]}
    for name in registry.names("operator"):
        operator = registry.find("operator", name)
        if name != "synonym" and issubclass(operator, WordOperator) and not operator.normalised_away():
            out.setdefault(operator.family, []).append(name)
    return out


def figures(seeds: Sequence[str], samples: Sequence[str | None], queries: Sequence[int], target: Any) -> dict[str, Any]:
    """Shares over all seeds. `samples` are the successes, None elsewhere; judged by the definitions in `targets.py` alone."""
    won = [i for i, sample in enumerate(samples) if sample is not None]
    texts = [samples[i] or "" for i in won]
    normal = violation_scores(target, [targets.canonical(t) for t in texts]) <= target.threshold
    start = time.process_time()
    valid = targets.valid([seeds[i] for i in won], texts)
    counted = [i for i, ok in zip(won, valid & normal, strict=True) if ok]
    return {
        "asr": len(won) / len(seeds), "asr_normalised": float(normal.sum()) / len(seeds),
        "valid_asr": len(counted) / len(seeds), "valid_asr_raw": float(valid.sum()) / len(seeds), "seeds": len(seeds),
        "queries": float(np.mean(queries)), "judge_seconds": time.process_time() - start, "counted": len(counted),
        "by_budget": {str(b): sum(queries[i] <= b for i in counted) / len(seeds) for b in BUDGETS},
    }  # fmt: skip


def peer(environment: str, recipe: str, setting: str, ours: Ours, seeds: Sequence[str]) -> dict[str, Any]:
    train, labels = shared.texts("train")
    request = {
        "setting": setting, "recipe": recipe, "train": train, "labels": labels.tolist(), "threshold": ours.target.threshold,
        "seeds": list(seeds), "seed_scores": violation_scores(ours.target, seeds).tolist(), "limit_queries": None, "seed": 0,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        asked, answered = pathlib.Path(place) / "request.json", pathlib.Path(place) / "response.json"
        asked.write_text(json.dumps(request), encoding="utf-8")
        python = ROOT / ".venv-peers" / environment / "bin" / "python"
        script = ROOT / "benchmarks" / "peers" / f"{environment}_run.py"
        subprocess.run([python, script, asked, answered], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        said = json.loads(answered.read_text(encoding="utf-8"))
    if "unavailable" in said:
        return {"unavailable": said["unavailable"]}
    rows = said["rows"]
    found = figures(seeds, [r["text"] if r["success"] else None for r in rows], [r["queries"] for r in rows], ours.target)
    search = said["seconds"] - said["judge_seconds"]
    total = said["seconds"] + (0.0 if said["judge_seconds"] else found["judge_seconds"])
    return found | _times(search, total, said["target_seconds"], found["counted"], len(seeds)) | {"versions": said["versions"]}


def _times(search: float, total: float, target: float, counted: int, n: int) -> dict[str, Any]:
    return {
        "seconds_a_sample": search / n, "target_share": target / search,
        "seconds_a_valid_success": total / counted if counted else None,
    }  # fmt: skip


def measured(ours: Ours, seeds: Sequence[str], cap: int) -> dict[str, Any]:
    """Ours at the cap: figures, times, and how many kinds of operator the successes hold."""
    (found, seconds), n = ours.attack(seeds, cap), len(seeds)
    samples = [o.sample.text if o.sample else None for o in found]
    out = figures(seeds, samples, [o.queries for o in found], ours.target)
    out["asr"] = sum(o.evaded for o in found) / len(seeds)
    used = [{s.name for s in o.sample.steps} for o in found if o.sample]
    family = {n: registry.find("operator", n).family for names in used for n in names}
    for what, seen in (
        ("operators", Counter(n for names in used for n in names)),
        ("families", Counter(f for names in used for f in {family[n] for n in names})),
    ):
        out |= {what: dict(seen.most_common()), f"effective_{what}": effective_number(seen)}
    times = _times(seconds["search"], seconds["total"], seconds["target"], out["counted"], len(seeds))
    embedded = {"seconds_a_sample_guided": seconds["guided"] / n, "embedded_a_sample": seconds["embedded"] / n}
    return out | times | embedded | {"warmup": ours.warmup}


def one_setting(setting: str, embedder: Embedder, stored: dict[str, Any] | None) -> dict[str, Any]:
    """The setting's table: ours, and each peer's with ours run again beside it; `stored` peers are not run."""
    ours, cap = Ours(Fitted(setting), OPERATORS, embedder), CAPS[setting]
    seeds = ours.seeds(SEEDS[setting])
    table: dict[str, Any] = {"threshold": ours.target.threshold, "ours": measured(ours, seeds, cap), "peers": {}}
    beside = [table["ours"]["seconds_a_sample"]]
    curve, _ = ours.attack(seeds, max(BUDGETS))
    samples = [o.sample.text if o.sample else None for o in curve]
    table["ours"]["by_budget"] = figures(seeds, samples, [o.queries for o in curve], ours.target)["by_budget"]
    again, seconds = ours.attack(seeds, cap, replay=True)
    asked = sum(o.queries for o in again)
    table["ours"]["seconds_two_queries"] = 2 * seconds["target"] / asked
    table["ours"]["target_share_most"] = seconds["target"] / seconds["search"]
    for environment, recipe in RECIPES[setting] if stored is None else ():
        some = seeds[: CONSTRAINED_SEEDS[setting]] if recipe == "textfooler_valid" else seeds
        table["peers"][recipe] = peer(environment, recipe, setting, ours, some)
        if setting != "minilm" or len(beside) < 2:
            beside.append(measured(ours, seeds, cap)["seconds_a_sample"])
        sys.stderr.write(f"{setting:10} {recipe:18} {_line(table['peers'][recipe])}\n")
    if stored is not None:
        table["peers"] = stored[setting]["peers"]
    table["ours"]["seconds_a_sample_runs"] = beside
    sys.stderr.write(f"{setting:10} {'ours':18} {_line(table['ours'])}\n")
    return table


def alone(embedder: Embedder) -> dict[str, float]:
    """Valid ASR on `strong` of each family of operators by itself."""
    out = {}
    for family, names in families().items():
        ours = Ours(Fitted("strong"), names, embedder)
        out[family] = measured(ours, ours.seeds(100), CAPS["strong"])["valid_asr"]
    return out


def strategies(embedder: Embedder) -> dict[str, Any]:
    """Our strategies side by side on the first seeds of `strong`, with one warm-up."""
    ours, cap, out = Ours(Fitted("strong"), OPERATORS, embedder), CAPS["strong"], {}
    seeds = ours.seeds(FEW)
    for kind in KINDS:
        found, seconds = ours.attack(seeds, cap, kind)
        samples = [o.sample.text if o.sample else None for o in found]
        out[kind] = figures(seeds, samples, [o.queries for o in found], ours.target)
        out[kind]["asr"] = sum(o.evaded for o in found) / len(seeds)
        out[kind] |= _times(seconds["search"], seconds["total"], seconds["target"], out[kind]["counted"], len(seeds))
        sys.stderr.write(f"strong     {kind:18} {_line(out[kind])}\n")
    return out


def growth() -> list[dict[str, float]]:
    """Seconds and peak memory on `word` as seeds grow a thousandfold, each number of them in a process of its own."""
    out = []
    for n in GROWTH:
        said = subprocess.run([sys.executable, __file__, "--grow", str(n)], check=True, stdout=subprocess.PIPE)
        out.append(json.loads(said.stdout))
        sys.stderr.write(f"word       growth             {out[-1]}\n")
    return out


def grown(n: int) -> dict[str, float]:
    """The search alone, for its judge reads payload and length only; seeds are the first 100 with a number behind, made as they
    are wanted."""
    import resource

    ours = Ours(Fitted("word"), OPERATORS, None)
    texts = ours.seeds(100)
    strategy = registry.make("attack", "greedy", operators=ours.operators, knowledge=ours.knowledge)
    seeds = (Seed(str(i), f"{texts[i % len(texts)]} {i}", "spam") for i in range(n))
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, won = time.process_time(), 0
    for outcome in engine.stream(strategy, ours.target, seeds, PayloadKept() & Length(), budget=CAPS["word"], seed=0):
        won += outcome.status == "success"
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seeds": n, "seconds_a_sample": seconds / n, "peak_mib": peak, "before_mib": before, "asr": won / n}


def rows(details: dict[str, Any], stored: bool) -> list[Row]:
    """The figures with goals, ours beside the best peer."""
    out: list[Row] = []
    for setting, goal in GOALS.items():
        ours, peers = details[setting]["ours"], {n: p for n, p in details[setting]["peers"].items() if "asr" in p}
        best = max(peers, key=lambda n: peers[n]["valid_asr"], default="")
        add = functools.partial(Row, setting, stored=stored)
        out.append(
            add(f"valid_asr@{CAPS[setting]}", "share", ours["valid_asr"], peers.get(best, {}).get("valid_asr"), best, goal)
        )
        slower = {n: p for n, p in peers.items() if n in SEARCHES and p["valid_asr"] <= ours["valid_asr"]}
        fast = min(slower, key=lambda n: slower[n]["seconds_a_sample"], default="")
        if fast:
            ratio = float(np.median(ours["seconds_a_sample_runs"])) / slower[fast]["seconds_a_sample"]
            out.append(add("seconds_ratio", "ours / peer", ratio, 1.0, fast, 0.1, False))
            for name, unit, key in BOUNDS if BOUNDS[0][2] in ours else ():
                bound = ours[key] / slower[fast]["seconds_a_sample"]
                out.append(add(name, unit, bound, 1.0, fast, None, False))
        share = 0.9 if setting == "minilm" else 0.75
        out.append(add("target_share", "share", ours["target_share"], peers.get(fast, {}).get("target_share"), fast, share))
        if "target_share_most" in ours:
            out.append(add("target_share_most", "share, were proposing free", ours["target_share_most"]))
        winners = {n: p for n, p in peers.items() if p["seconds_a_valid_success"]}
        cheap = min((n for n in winners if n in SEARCHES), key=lambda n: winners[n]["seconds_a_valid_success"], default="")
        if cheap and ours["seconds_a_valid_success"]:
            ratio = ours["seconds_a_valid_success"] / winners[cheap]["seconds_a_valid_success"]
            wanted = None if setting == "word" else 0.1
            out.append(add("valid_success_ratio", "ours / peer", ratio, 1.0, cheap, wanted, False))
    strong = details["strong"]["ours"]
    out.append(Row("strong", "families", "effective number", strong["effective_families"], goal=3.0))
    reached = sum(v >= 0.3 for v in details["families_alone"].values())
    out.append(Row("strong", "families_alone", "families with valid ASR >= 0.30 by themselves", reached, goal=4))
    first, last = details["growth"][0], details["growth"][-1]
    for name, what, key in (("growth", "seconds a sample", "seconds_a_sample"), ("growth_memory", "peak memory", "peak_mib")):
        unit = f"{what}, {last['seeds']:,} seeds / {first['seeds']:,}"
        out.append(Row("word", name, unit, last[key] / first[key], goal=1.2, higher_is_better=False))
    return out


def _line(found: dict[str, Any]) -> str:
    if "unavailable" in found:
        return f"not available: {found['unavailable']}"
    shares = f"asr {found['asr']:.3f}  valid {found['valid_asr']:.3f}  queries {found['queries']:.1f}"
    valid = found["seconds_a_valid_success"]
    times = f"ms/sample {1000 * found['seconds_a_sample']:.2f}  s/valid {valid and round(valid, 3)}"
    return f"{shares}  {times}  target {found['target_share']:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ours on word alone, beside the peers' stored figures")
    parser.add_argument("--only", nargs="+", choices=[*CAPS, *PARTS], default=[*CAPS, *PARTS])
    parser.add_argument("--grow", type=int, help="one line of the growth table, as JSON")
    asked = parser.parse_args()
    set_threads(1)
    if asked.grow:
        sys.stdout.write(json.dumps(grown(asked.grow)) + "\n")
        return
    wanted = ["word"] if asked.quick else asked.only
    before: dict[str, Any] = {"details": {}} if {*wanted} == {*CAPS, *PARTS} else shared.read("attack")
    details = before["details"]
    stored = details if asked.quick else None
    if not asked.quick:
        for environment in ("textattack", "nlpaug", "pyrit"):
            subprocess.run([sys.executable, ROOT / "benchmarks" / "peers" / "setup.py", environment], check=True)
    embedder, commits = MiniLM(), details.setdefault("commits", dict.fromkeys(details, before.get("commit")))
    for name in wanted:
        commits[name] = shared.COMMIT
        if name in CAPS:
            details[name] = one_setting(name, embedder, stored)
        elif name == "growth":
            details[name] = growth()
        else:
            details[name] = {"families_alone": alone, "strategies": strategies}[name](embedder)
    found = rows(details, stored=asked.quick)
    if asked.quick:
        sys.stdout.write(json.dumps([r for r in map(shared.asdict, found) if r["setting"] == "word"], indent=1) + "\n")
    else:
        shared.write("attack", found, details)


if __name__ == "__main__":
    main()
