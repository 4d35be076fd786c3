"""The report: what it says first, what it shows, and that a hostile sample stays text."""

import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sparring.plots import Rate, percent
from sparring.report import SHOWN_EXAMPLES, Example, write_report

MADE = runpy.run_path(str(Path(__file__).with_name("summaries.py")))
full, one_round, changed, around = (MADE[name] for name in ("full", "one_round", "changed", "around"))


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
    facts = {"round": i % 4, "seed": SEED, "operators": TRICKS[i % 3][0], "content": TRICKS[i % 3][1], "clause": "S1",
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
        hostile = an_example(content=text, seed=text, operators=(text,), split=text, clause=text)
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


def test_import_is_light():
    heavy = "('matplotlib', 'numpy', 'torch', 'pandas')"
    code = f"import sys, sparring.report; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
