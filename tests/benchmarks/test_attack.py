"""The stored figures and the page made of them, and the benchmark's own definitions; `make bench` measures."""

from __future__ import annotations

import importlib.util
import json
import pathlib
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from redteam.attacks.greedy import Greedy
from redteam.engine import Seed
from redteam.knowledge import Knowledge, Phrase
from sparring.embed import DummyEmbedder
from sparring.record import digest

ROOT = pathlib.Path(__file__).parents[2]


def module(path: str):
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, ROOT / path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def attack():
    return module("benchmarks/attack.py")


def test_the_page_is_up_to_date():
    made = module("docs/make_benchmarks.py")
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "Fix: python docs/make_benchmarks.py"


def test_the_stored_figures_follow_from_the_stored_tables(attack):
    stored = attack.shared.read("attack")
    again = [attack.shared.asdict(row) for row in attack.rows(stored["details"], stored=False)]
    assert again == stored["rows"]


def test_the_tables_add_up(attack):
    details = attack.shared.read("attack")["details"]
    for setting in attack.CAPS:
        tables = {"ours": details[setting]["ours"], **details[setting]["peers"]}
        assert {"ours", *(recipe for _, recipe in attack.RECIPES[setting])} == set(tables), setting
        for name, found in tables.items():
            if "unavailable" in found:
                continue
            assert 0 <= found["valid_asr"] <= min(found["asr_normalised"], found["valid_asr_raw"]) <= found["asr"] <= 1, (
                setting,
                name,
            )
            assert list(found["by_budget"].values()) == sorted(found["by_budget"].values())
            assert 0 <= found["target_share"] <= 1
        assert details[setting]["ours"]["queries"] <= attack.CAPS[setting]
        assert details[setting]["ours"]["warmup"]["queries"] <= attack.Ours.WARMUP


def test_a_success_counts_only_if_it_is_valid_and_survives_a_normaliser(attack):
    class Literal:
        """Calls benign what holds a mark."""

        labels, threshold = ("benign", "spam"), 0.5

        def __init__(self, mark):
            self.mark = mark

        def predict_proba(self, samples):
            spam = np.array([0.0 if self.mark in s else 1.0 for s in samples])
            return np.stack([1 - spam, spam], 1)

    seed = "win a prize, call 08001234567 now"
    samples = [f"{seed} hi", f"{seed} ｈｉ", f"{seed} h\u200bi", "hi", None]
    found = attack.figures([seed] * 5, samples, [2, 30, 3, 4, 9], Literal("hi"))
    assert (found["asr"], found["asr_normalised"], found["valid_asr_raw"], found["valid_asr"]) == (0.8, 0.8, 0.6, 0.6)
    assert found["by_budget"] == {"10": 0.4, "25": 0.4, "40": 0.6, "60": 0.6, "100": 0.6, "200": 0.6}
    undone = attack.figures([seed], [seed.replace("prize", "pri\u200bze")], [2], Literal("\u200b"))
    assert (undone["asr"], undone["asr_normalised"], undone["valid_asr_raw"], undone["valid_asr"]) == (1, 0, 1, 0)


def test_a_replay_proposes_the_same_and_asks_no_guide(attack):
    ours = module("benchmarks/ours.py")

    class Counted(ours.Cached):
        calls = 0

        def encode(self, texts):
            self.calls += 1
            return super().encode(texts)

    guide = Counted(DummyEmbedder())
    operators = {name: ours.registry.make("operator", name) for name in ("dilution", "leet", "typo", "zero_width")}
    strategy = ours.Replay(Greedy(operators, Knowledge(phrases=(Phrase("see you at home"),)), guide=guide))
    seeds = [Seed(str(i), f"win a free prize now, call 0800123456{i}", "spam") for i in range(5)]

    class Stern:
        """Lets little pass."""

        labels, threshold = ("benign", "spam"), 0.03

        def predict_proba(self, samples):
            spam = np.array([int(digest(s)[:8], 16) / 2**32 if s[:3] != "win" or "call" not in s else 0.9 for s in samples])
            return np.stack([1 - spam, spam], 1)

    def play():
        return ours.engine.attack(strategy, Stern(), seeds, ours.PayloadKept() & ours.Length(), budget=60)

    first, asked = play(), guide.calls
    assert asked
    assert play() == first
    assert guide.calls == asked


def test_effective_number(attack):
    assert attack.effective_number(Counter(a=5, b=5, c=5)) == pytest.approx(3)
    assert attack.effective_number(Counter(a=9, b=0)) == pytest.approx(1)
    assert attack.effective_number(Counter()) == 0


@pytest.mark.slow
def test_the_quick_run_measures_ours_beside_stored_peers():
    done = subprocess.run(
        [sys.executable, "benchmarks/attack.py", "--quick"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=600
    )
    rows = {row["metric"]: row for row in json.loads(done.stdout)}
    assert rows["valid_asr@40"]["ours"] >= 0.9
    assert all(row["stored"] for name, row in rows.items() if not name.startswith("growth"))
