"""The report: what it says first, what it shows, and that a hostile sample stays text."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sparring.advice import Advice, advice, verdict
from sparring.plots import Rate, percent, pieces, readable, scale
from sparring.report import SHOWN_EXAMPLES, Example, write_report

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


@pytest.fixture
def summary() -> dict[str, Any]:
    return full()


SEED = "WINNER!! As a valued network customer you have been selected to receive a £900 prize! To claim call 09061701461"
TRICKS = [
    (("leet",), SEED.replace("I", "1").replace("o", "0")),
    (("zero_width",), SEED.replace("ue", "u\u200be").replace("NN", "N\u200bN")),
    (("homoglyph", "dilution"), SEED.replace("e", "\u0435") + " see you at the match later mum says hi"),
]


def an_example(i: int = 0, **other: Any) -> Example:
    facts = {"round": i % 4, "seed_text": SEED, "operators": TRICKS[i % 3][0], "text": TRICKS[i % 3][1], "clause": "S1",
             "score_before": 0.982, "score_after": 0.31, "queries": 14 + i, "split": "test", "judge": 0.93}  # fmt: skip
    return Example(**{**facts, **other})


class Page(HTMLParser):
    """The page as a browser would see it: elements with their attributes, and the text outside the style sheet."""

    def __init__(self, html: str):
        super().__init__()
        self.html, self.elements, self._text = html, [], []
        self.feed(re.sub(r"<style>.*?</style>", "", html, flags=re.S))
        self.text = re.sub(r"\s+", " ", "".join(self._text))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self._text.append(data)


def page(tmp_path: Path, summary: dict[str, Any], examples: tuple[Example, ...] = ()) -> Page:
    path = tmp_path / "run" / "report.html"
    write_report(summary, examples, path)
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    return Page(path.read_text(encoding="utf-8"))


def said(lines: list[Advice], section: str | None = None) -> str:
    return "\n".join(f"{line.level}: {line.text.striptags()}" for line in lines if section in (None, line.section))


def test_a_full_summary_shows_every_section_and_stays_small(tmp_path, summary):
    html = page(tmp_path, summary, tuple(an_example(i) for i in range(9)))
    ids = [attrs["id"] for tag, attrs in html.elements if tag == "section"]
    assert " ".join(ids) == (
        "todo attack families payoff examples arms benign clean yield coverage data judges rounds run")  # fmt: skip
    assert len(html.html.encode()) < 200_000
    all_ids = [attrs["id"] for _, attrs in html.elements if "id" in attrs]
    assert len(all_ids) == len(set(all_ids))
    assert {attrs["href"][1:] for tag, attrs in html.elements if tag == "a"} <= set(ids)
    charts = [attrs for tag, attrs in html.elements if tag == "svg" and attrs.get("class") == "chart"]
    assert [chart["role"] for chart in charts] == ["img", "img"]
    assert all(set(chart["aria-labelledby"].split()) <= set(all_ids) for chart in charts)
    assert "valid: round 0 58% [49–66%], round 1 31%" in html.html


def rates(data: Any) -> list[list[float]]:
    if isinstance(data, list) and len(data) == 4 and isinstance(data[0], float):
        return [data]
    values = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return [rate for value in values for rate in rates(value)]


def test_every_rate_of_the_summary_is_on_the_page_as_it_stands(tmp_path, summary):
    for r in summary["rounds"]:
        del r["per_category"]["spam"]["precision"], r["per_category"]["spam"]["recall"]  # F1 stands for a category
    for r in summary["rounds"][1:3]:
        del r["fpr_benign_perturbed"]["by_operator"]  # the first and the last round stand there
    html = page(tmp_path, summary)
    assert len(rates(summary)) > 100
    for raw in rates(summary):
        rate = Rate.read(raw)
        assert rate.percent in html.text or rate.figure in html.text, raw
    words = ("58% [49–66%]|12% [6.6–18%]|0.953|0.951|1,940|412 of 1,940|5,900|3,633|4 min 2 s|43.7|1,500|0.412|3,800|212|"
             "not violating|9f2c1e7ab3d04415|1.2.0|2.13.0|37|214")  # fmt: skip
    for shown in re.split(r"\|", words):
        assert shown in html.text, shown


def test_the_payoff_matrix_has_attackers_as_rows(tmp_path, summary):
    html = page(tmp_path, summary).html
    table = re.search(r'<table class="matrix payoff">.*?</table>', html, re.S)[0]
    rows = [re.findall(r"<b>([^<]*)</b>", row) for row in table.split("<tr>")[2:]]
    assert rows == [[percent(v[0]) for v in row] for row in summary["payoff"]]


def test_the_archive_shows_count_and_best_of_each_cell_and_a_dash_where_none_is(tmp_path, summary):
    def shown(html: str) -> dict[str, list[str]]:
        table = re.search(r'<table class="matrix cool">.*?</table>', html, re.S)[0]
        rows = [re.sub(r"<[^>]*>", " ", row).split("\n")[0] for row in table.split('<th scope="row">')[1:]]
        return {re.split(r"\s{2,}", row)[0]: re.findall(r"(\d+|–)(?:\s+best (\S+))?", row.split("   ", 1)[-1]) for row in rows}

    rows = shown(page(tmp_path, summary).html)
    assert rows["S3 loans"] == [("61", "0.91"), ("–", ""), ("12", "0.91")]
    assert "8 of 9" in page(tmp_path, summary).text
    summary["archive"]["axes"]["language"] = ["de", "en"]
    rows = shown(page(tmp_path, summary).html)
    assert rows["S3 loans (de)"] == [("–", "")] * 3
    assert rows["S3 loans (en)"][0] == ("61", "0.91")


def test_unseen_operators_and_forgetting_have_a_line_each(tmp_path, summary):
    text = page(tmp_path, summary).text
    assert "by operators that no training row was made with: full_width, texting." in text
    assert "valid, unseen" in text
    assert "Nothing was forgotten" in text  # by the payoff matrix, whatever `forgetting` names as the worst
    summary["payoff"][1][3] = around(0.4, 121, 0.06)
    said = page(tmp_path, summary).text
    assert "round 1 gets 40% [35–47%] past the last classifier and got 16% [10–22%] past that of round 2" in said
    assert "a loss of 24.3 points." in said
    summary["payoff"][1][3] = around(0.2, 121, 0.06)
    assert "a loss of 4.3 points; the intervals overlap, so this is not settled." in page(tmp_path, summary).text
    for r in summary["rounds"]:
        del r["valid_asr_held_out"]
    assert "unseen" not in page(tmp_path, summary).text


@pytest.mark.parametrize("n", range(5))
def test_a_run_stopped_early_renders(tmp_path, summary, n):
    summary["rounds"] = summary["rounds"][:n]
    html = page(tmp_path, summary, (an_example(),))
    assert ("What gets past" in html.text) == ('class="chart"' in html.html) == (n > 0)
    assert re.search("No round was finished.*sparring run", page(tmp_path, {}).text)


KEYS = [*full(), *(f"rounds/{r}/{key}" for key in one_round(1) for r in (0, 3))]


@pytest.mark.parametrize("path", KEYS)
@pytest.mark.parametrize("gone", [True, False], ids=["missing", "null"])
def test_any_key_may_be_missing_or_null(tmp_path, summary, path, gone):
    changed(summary, {path: None})
    if gone:
        *parents, key = path.split("/")
        (summary["rounds"][int(parents[1])] if parents else summary).pop(key)
    assert "What to do" in page(tmp_path, summary, (an_example(),)).text


def test_what_was_not_measured_is_a_dash(tmp_path, summary):
    before = page(tmp_path, summary).html.count("<i>–</i>")
    changed(summary, {"rounds/1/valid_asr_fresh": None, "rounds/2/asr_fresh": [float("nan")] * 3 + [0]})
    html = page(tmp_path, summary)
    assert html.html.count("<i>–</i>") == before + 2
    assert "nan" not in html.text


def test_many_rounds(tmp_path, summary):
    summary["rounds"] = [{**one_round(r % 4), "round": r} for r in range(12)]
    assert "after 11 rounds" in page(tmp_path, summary).text


HOSTILE = {
    "script": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "attribute": '" onmouseover="alert(1)" \' style=\'x',
    "template": "{{ 7*7 }}{% raw %}",
    "bidi": "abc\u202egnp.exe\u2066x\u2069\u200f",
    "control": "a\x00b\x1b[31mc\x7f\x85\u2028",
    "surrogate": "a\ud800b",
    "huge": "A9z" * 350_000,
    "zalgo": "e" + "\u0301" * 5000,
    "closing": "</textarea></style></title></svg>-->]]>",
}
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
NAMES = {"ours", "leet", "spam", "filter", "train", "character", "torch", "too_far", "negated"}


def poisoned(data: Any, text: str) -> Any:
    if isinstance(data, dict):
        return {text if key in NAMES else key: poisoned(value, text) for key, value in data.items()}
    if isinstance(data, list):
        return [poisoned(value, text) for value in data]
    return text if isinstance(data, str) else data


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("where", ["example", "names"])
def test_what_is_hostile_stays_text(tmp_path, summary, text, where):
    plain = page(tmp_path, summary, (an_example(0), an_example(1)))
    if where == "example":
        hostile = an_example(text=text, seed_text=text, operators=(text,), split=text, clause=text)
        html = page(tmp_path, summary, (hostile, an_example(1)))
    else:
        html = page(tmp_path, poisoned(summary, text), (an_example(0), an_example(1)))
    assert {tag for tag, _ in html.elements} <= {tag for tag, _ in plain.elements}
    known, used = ({name for _, attrs in p.elements for name in attrs} for p in (plain, html))
    assert used <= known  # no attribute that a clean page has not
    assert not UNSEEN.search(html.html)
    assert "A9z" * 140 not in html.html
    assert len(html.html) < 200_000


def test_the_file_loads_nothing_and_runs_no_script(tmp_path, summary):
    html = page(tmp_path, summary, (an_example(),))
    loading = {"script", "iframe", "object", "embed", "img", "video", "audio", "form", "base"}
    assert not {tag for tag, _ in html.elements} & loading
    for _, attrs in html.elements:
        assert "src" not in attrs
        assert attrs.get("href", "#").startswith(("#", "data:,"))
    assert not re.search(r"url\(|@import|https?://", html.html)
    policy = next(attrs["content"] for tag, attrs in html.elements if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy


def test_texts_are_covered_until_a_person_uncovers_them(tmp_path, summary):
    html = page(tmp_path, summary, (an_example(0), an_example(1)))
    boxes = [attrs for tag, attrs in html.elements if tag == "input"]
    assert [box["id"] for box in boxes] == ["show-all", "ex-1", "ex-2"]
    assert all(box["type"] == "checkbox" and "checked" not in box and box["autocomplete"] == "off" for box in boxes)
    assert re.search(r"\.sample \{ visibility: hidden;", html.html)
    assert "Content warning" in html.text
    assert "synthetic" in html.text
    outside = re.sub(r'<div class="sample">.*?</div>', "", html.html, flags=re.S)  # neither in an attribute nor in a title
    assert "valued" not in outside
    assert "valued" in html.html


def test_a_long_list_of_examples_is_cut_and_says_so(tmp_path, summary):
    html = page(tmp_path, summary, (an_example(),) * 1000)
    assert f"{SHOWN_EXAMPLES} of 1,000 examples" in html.text
    assert len(html.html.encode()) < 600_000


def test_the_verdict_is_made_from_the_figures(summary):
    assert [line.striptags() for line in verdict(summary)] == [
        "In round 0, an attacker with 50 queries gets 58% [49–66%] of caught violations past the classifier while they "
        "still violate; after 3 rounds 12% [6.6–18%].",
        "Clean F1 went from 0.953 to 0.951.",
        "Of the texts that beat round 0, 3.8% still pass.",
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


def changed(summary: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` maps a path such as `rounds/-1/clean/f1` to its new value."""
    for path, value in changes.items():
        *parents, key = path.split("/")
        place: Any = summary
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place[parent]
        place[key] = value
    return summary


OURS = "Ours wins against each control arm: 12% [7.4–18%] valid ASR, the best of the others"
LAST, PERTURBED, CLAUSES = "rounds/-1", "rounds/-1/fpr_benign_perturbed", "archive/axes/clause"
AHEAD, LEVEL, FAR = arm(0.1), arm(0.124), arm(0.01)
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
    ("attack", {f"{LAST}/asr_fresh": around(0.3)}, "watch: Raw ASR is 30%, valid ASR 12%: the difference are texts"),
    ("benign", {f"{PERTURBED}/worst": around(0.08)}, "act: leet on benign rows raises 8.0% false positives (limit 5%)"),
    ("clean", {f"{LAST}/clean/f1": around(0.92)}, "act: Robustness was paid for with clean quality: F1 fell by 0.033"),
    ("data", {}, "act: 37 rows of your data may carry a wrong label."),
    ("coverage", {CLAUSES: [*COVERAGE, "S9"]}, "watch: No hard example touches this clause: S9. Add seeds for it."),
    ("coverage", {CLAUSES: [*COVERAGE, "S9", "S8"]}, "touches 2 clauses: S9, S8. Add seeds for them."),
    ("yield", {f"rounds/{r}/accepted": 10 for r in range(4)}, 'only 40 were accepted; most fell to "not violating"'),
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


def test_percent_keeps_what_a_whole_number_would_hide():
    values = (0, 0.0002, 0.031, 0.0996, 0.1, 0.583, 0.9, 0.953, 0.9999, 1)
    assert " ".join(map(percent, values)) == "0% <0.1% 3.1% 10% 10% 58% 90% 95.3% >99.9% 100%"


def test_rate_reads_what_the_summary_may_hold():
    assert [Rate.read(raw) for raw in (None, [None, None, None, 0], [float("nan"), 0, 0, 0])] == [None] * 3
    assert [str(Rate.read(raw)) for raw in (0.5, [0.5, 0.4, 0.6, 10])] == ["50%", "50% [40–60%]"]
    assert not Rate(0.5, 0.4, 0.6).overlaps(Rate(0.8, 0.7, 0.9))
    assert Rate(0.5, 0.4, 0.6).overlaps(Rate(0.6, 0.55, 0.9))
    assert not Rate(0.5).overlaps(Rate(0.6))
    assert [scale([Rate(0.03, 0.01, 0.06), None]), scale([])] == [0.1, 1.0]


def test_pieces_show_the_letters_that_changed():
    def shown(seed: str, text: str) -> list[tuple[str, str]]:
        return [(p.kind, p.text) for p in pieces(seed, text)]

    assert shown("win a prize", "w1n a prize now") == [("same", "w"), ("new", "1"), ("same", "n a prize"), ("new", " now")]
    assert shown("win", "w\u200bin\x00") == [("same", "w"), ("hidden", ""), ("same", "in"), ("hidden", "")]
    assert "".join(p.text for p in pieces("a" * 5000, "a" * 5000)) == "a" * 400
    assert pieces("", "") == []


def test_readable_spells_out_what_cannot_be_seen():
    assert readable("a\u202eb\x00\nc") == "a[U+202E]b[U+0000] c"
    assert len(readable("x" * 10_000)) == 401


def test_import_is_light():
    heavy = "('matplotlib', 'numpy', 'torch', 'pandas')"
    code = f"import sys, sparring.report; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
