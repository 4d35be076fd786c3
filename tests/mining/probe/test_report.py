from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
import zlib

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import binomtest

from mining.probe import compare, junit, material, report, show, suite
from mining.probe.examine import examine, masked
from sparring import policy
from sparring.errors import TargetFailed, UserError

from .conftest import Always


class Careless:
    """Decides by a hash of the text: right about as often as not, the same each time."""

    threshold = 0.5

    def __init__(self, labels, salt: str = ""):
        self.labels, self.salt = labels, salt

    def predict_proba(self, samples):
        p = np.zeros((len(samples), len(self.labels)), np.float32)
        for row, text in enumerate(samples):
            p[row, zlib.crc32(f"{self.salt}{text}".encode()) % len(self.labels)] = 1
        return p


@pytest.fixture
def made(spam, spam_material):
    return suite.build(spam, [spam_material])


@pytest.mark.parametrize("decided", [0, 1])
def test_a_target_that_always_says_the_same_passes_exactly_one_side(spam, made, decided):
    found = examine(Always(spam.labels, decided), made, spam, name="always")
    side = ("benign", "violating")[decided]
    right = sum(case.expected == side for case in made.cases)
    assert found.pass_rate[0] == pytest.approx(right / len(made.cases), abs=1e-6)
    for group in found.functionalities:
        assert group.pass_rate[0] == (group.expected == side)
        assert group.pass_rate[3] == sum(c.functionality == group.name for c in made.cases)
    for clause in found.clauses:
        assert [clause.violating[0], clause.benign[0]] == ([1, 0] if decided else [0, 1])
    pairs = len({c.record.pair_id for c in made.cases if c.record.pair_id})
    assert (found.pairs.only_violating, found.pairs.only_benign) == ((pairs, 0) if decided else (0, pairs))
    assert found.pairs.consistent[0] == 0
    assert sorted(found.below(0.5), key=str) == sorted((g for g in found.functionalities if g.expected != side), key=str)


def test_counts_agree_with_the_outcomes_and_clauses_follow_the_policy(spam, made):
    found = examine(Careless(spam.labels), made, spam, name="careless")
    assert [o.id for o in found.outcomes] == [c.record.id for c in made.cases]
    for group in found.functionalities:
        outcomes = [o for o in found.outcomes if o.functionality == group.name]
        interval = binomtest(sum(o.passed for o in outcomes), len(outcomes)).proportion_ci(method="wilson")
        assert group.pass_rate[1:] == pytest.approx((interval.low, interval.high, len(outcomes)), abs=2e-6)
    assert [c.name for c in found.clauses] == ["spam", *(clause.id for clause in spam.categories[0].clauses)]
    sides: dict[str, list[bool]] = {}
    for outcome in found.outcomes:
        if outcome.pair_id:
            sides.setdefault(outcome.pair_id, []).append(outcome.passed)
    assert round(found.pairs.consistent[0] * found.pairs.consistent[3]) == sum(map(all, sides.values()))
    assert sum(s.cases for s in found.skipped) == len(made.skipped)
    assert found.functionalities[0].name == "plain"


def test_another_category_is_a_pass_and_is_counted(write_policy):
    rules = policy.load(write_policy(names=("first", "second")))
    found = examine(Always(rules.labels, 2), suite.build(rules), rules, name="second always")
    assert found.pass_rate[0] == 1
    assert found.other_category == sum(o.category == "first" for o in found.outcomes) > 0


def test_a_report_is_read_back_as_it_was(spam, made, tmp_path):
    found = examine(Careless(spam.labels), made, spam, name="careless")
    path = tmp_path / "a.json"
    path.write_text(found.model_dump_json(indent=1), encoding="utf-8")
    assert report.read(path) == found
    for content in ("{", "[]", '{"version": 1}'):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(UserError, match="expected a report of"):
            report.read(path)
    with pytest.raises(UserError, match="expected a report of"):
        report.read(tmp_path / "none.json")


def test_nothing_that_is_written_or_shown_holds_a_text(spam, made, tmp_path):
    found = examine(Careless(spam.labels), made, spam, name="careless")
    junit.write(found, tmp_path / "x.xml")
    found = found.model_copy(update={"against": compare.compare(examine(Always(spam.labels, 0), made, spam, name="a"), found)})
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(*show.render(found), sep="\n")
    shown = [console.export_text(), found.model_dump_json(), (tmp_path / "x.xml").read_text(encoding="utf-8")]
    for previews in (o.preview for o in found.outcomes if o.preview):
        assert re.fullmatch(r"(?:[\w*]\*{0,7}(?: |$))+…?|.{59}…", previews)
    words = [re.findall(r"\w+", case.record.text) for case in made.cases]
    secrets = {" ".join(text[i : i + 3]) for text in words for i in range(len(text) - 2)} | {"09098790123"}
    for text in shown:
        said = " ".join(re.findall(r"\w+", text))
        assert not [secret for secret in secrets if len(secret) > 9 and secret in said]
    assert max(map(len, shown[0].splitlines())) <= 100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Call 09061 now!", "C*** ***** n**"),
        ("f r e e", "* * * *"),
        ("f.r.e.e cash", "f*** c***"),
        ("यह संदेश", "य* स****"),
        ("\ud800 \x00 x\x01yz", "x**"),
        ("", ""),
    ],
)
def test_a_preview_shows_first_letters_only(text, shown):
    assert masked(text) == shown
    assert len(masked("word " * 50)) == 60


def test_junit_parses_and_its_counts_agree(spam, made, tmp_path, write_policy):
    found = examine(Careless(spam.labels), made, spam, name="care\x00less & <sons>")
    path = tmp_path / "out" / "probe.xml"
    junit.write(found, path)
    root = ET.parse(path).getroot()
    failed = sum(not o.passed for o in found.outcomes)
    assert root.attrib == {
        "name": "sparring probe", "tests": str(len(found.outcomes) + len(found.skipped)), "failures": str(failed),
        "errors": "0", "skipped": str(len(found.skipped)),
    }  # fmt: skip
    for key, tag in (("tests", "testcase"), ("failures", "testcase/failure"), ("skipped", "testcase/skipped")):
        assert sum(int(s.attrib[key]) for s in root) == int(root.attrib[key]) == len(root.findall(f"testsuite/{tag}"))
        for each in root:
            assert int(each.attrib[key]) == len(each.findall(tag))
    assert {t.attrib["name"] for t in root.iter("testcase") if t.find("failure") is not None} == {
        o.id for o in found.outcomes if not o.passed
    }
    rules = policy.load(write_policy())
    junit.write(examine(Always(rules.labels, 1), suite.build(rules), rules, name="x"), path)
    skipped = ET.parse(path).getroot().findall("testsuite[@name='quoting']/testcase/skipped")
    assert [s.attrib["message"].startswith("6 cases: the policy decides") for s in skipped] == [True]


def test_thirty_categories_are_reported(write_policy, tmp_path):
    names = tuple(f"kind_{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(30))
    rules = policy.load(write_policy(names=names))
    made = suite.build(rules)
    found = examine(Careless(rules.labels), made, rules, name="careless")
    assert [c.name for c in found.clauses] == list(names)
    assert sum(c.pass_rate[3] for c in found.clauses) == len(made.cases)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(*show.render(found), sep="\n")
    text = console.export_text()
    assert "the 10 worst of 30" in text
    assert "kind_aa, kind_ab, kind_ac and 27 more" in " ".join(text.split())
    junit.write(found, tmp_path / "x.xml")
    assert len(ET.parse(tmp_path / "x.xml").getroot().findall("testsuite/testcase")) == len(made.cases) + len(found.skipped)


def test_a_comparison_counts_flips_and_tests_them_as_scipy_does(spam, made):
    before = examine(Careless(spam.labels, "one"), made, spam, name="before")
    now = examine(Careless(spam.labels, "two"), made, spam, name="now")
    found = compare.compare(before, now)
    passed = {o.id: o.passed for o in before.outcomes}
    for change in (*found.functionalities, found.total):
        mine = [o for o in now.outcomes if change.name in ("all", o.functionality)]
        fixed = sum(o.passed and not passed[o.id] for o in mine)
        broken = sum(passed[o.id] and not o.passed for o in mine)
        assert (change.cases, change.fixed, change.broken) == (len(mine), fixed, broken)
        assert change.p == pytest.approx(binomtest(fixed, fixed + broken).pvalue if fixed + broken else 1, rel=1e-9)
        assert change.p <= change.p_holm <= 1
    assert {f.id for f in found.flips} == {o.id for o in now.outcomes if o.passed != passed[o.id]}
    assert all(f.passed != passed[f.id] and f.preview for f in found.flips)
    assert sum(f.passed for f in found.flips) == found.total.fixed


def test_a_comparison_is_of_the_cases_in_both(spam, spam_material, made):
    few = spam_material.model_copy(update={"clauses": {}, "uses": {}})
    whole = examine(Always(spam.labels, 1), made, spam, name="whole")
    part = examine(Always(spam.labels, 0), suite.build(spam, [few]), spam, name="part")
    found = compare.compare(whole, part)
    assert (found.cases, found.only_now) == (len(part.outcomes), 0)
    assert found.only_before == len(whole.outcomes) - len(part.outcomes)
    assert found.total.broken == found.cases
    other = spam.model_copy(update={"name": "other"})
    with pytest.raises(UserError, match="share none"):
        compare.compare(whole, examine(Always(spam.labels, 0), suite.build(other), other, name="other"))


def test_an_empty_suite_and_a_broken_target_are_said(spam, write_policy):
    rules = policy.load(write_policy(category={"examples": []}))
    with pytest.raises(UserError, match="gives no case: the category has no violating example"):
        examine(Always(rules.labels, 0), suite.build(rules), rules, name="x")

    class Broken(Always):
        def predict_proba(self, samples):
            return super().predict_proba(samples) * np.nan

    with pytest.raises(TargetFailed, match="failed on each of"):
        examine(Broken(spam.labels, 0), suite.build(spam), spam, name="x")


def test_the_shipped_example_is_of_the_example_policy(spam_material, spam):
    assert set(spam_material.clauses) == {clause.id for clause in spam.categories[0].clauses}
    english = material.shipped("en")
    assert spam_material.uses.keys() == {*english.frames, *english.of_terms}


def test_cases_that_the_target_fails_on_are_skipped_and_said_and_in_no_rate(spam, made):
    class Failing(Always):
        def predict_proba(self, samples):
            p = np.array(super().predict_proba(samples), np.float32)
            p[::7] = np.nan
            return p

    found = examine(Failing(spam.labels, 0), made, spam, name="x")
    lost = [s for s in found.skipped if s.reason == "the target gave no score"]
    assert sum(s.cases for s in lost) == len(made.cases[::7])
    assert found.pass_rate[3] == len(found.outcomes) == len(made.cases) - len(made.cases[::7])
    whole = examine(Always(spam.labels, 0), made, spam, name="x")
    assert found.pairs.consistent[3] < whole.pairs.consistent[3]
