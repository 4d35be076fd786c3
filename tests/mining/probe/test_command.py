"""The command as a user types it: targets found, exit codes, files."""

from __future__ import annotations

import json
import pathlib
import random
import sys
import xml.etree.ElementTree as ET

import pyarrow.parquet as pq
import pytest

import cli
from sparring import check, jobs
from sparring.record import from_table
from sparring.store import open_run
from sparring.targets.dummy import DummyTarget

from .conftest import CASES, ROOT

POLICY = ROOT / "examples" / "policies" / "spam.yaml"
HAM = "see you at home later tonight thanks for lunch bus late dinner mum dad call me soon it is says message".split()
SPAM = "prize claim won win cash congratulations text call 84025 winner get your free mobile number within".split()


def save(folder: pathlib.Path, *, threshold: float = 0.5, labels: tuple[str, ...] = ("benign", "spam")) -> pathlib.Path:
    rng = random.Random(0)
    rows = [(" ".join(rng.sample(words, 6)), label) for words, label in ((HAM, "benign"), (SPAM, labels[1])) for _ in range(60)]
    target = DummyTarget().fit(*zip(*rows, strict=True), names=labels, seed=0)
    target.threshold = threshold
    target.save(folder)
    return folder


@pytest.fixture
def probe(monkeypatch, capsys):
    """Exit code, standard output, standard error."""

    def go(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sparring", "probe", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return (end.value.code, *capsys.readouterr())

    return go


def test_min_pass_decides_the_exit_code(tmp_path, probe):
    target = save(tmp_path / "target")
    options = (target, "--kind", "dummy", "--policy", POLICY, "--cases", CASES)
    code, out, _ = probe(*options, "--json")
    assert code == 0
    shares = {group["name"]: group["pass_rate"][0] for group in json.loads(out)["functionalities"]}
    worst = min(shares.values())
    assert worst < 1
    code, out, err = probe(*options, "--min-pass", "1")
    assert code == 1
    assert out.startswith(str(target))
    assert all(name in err for name, share in shares.items() if share < 1)
    assert not any(f" {name} " in err for name, share in shares.items() if share == 1)
    assert probe(*options, "--min-pass", worst)[0] == 0
    assert probe(*options, "--min-pass", "1.1")[0] == 2


def test_always_violating_passes_a_gate_only_without_benign_cases_and_that_is_said(tmp_path, probe):
    target = save(tmp_path / "target", threshold=-1)
    options = (target, "--kind", "dummy", "--policy", POLICY, "--min-pass", "1")
    code, out, _ = probe(*options)
    assert code == 0
    assert "no case is benign" in out
    assert probe(*options, "--cases", CASES)[0] == 1


def test_junit_and_records_are_written_and_a_report_is_compared(tmp_path, probe):
    first, second = save(tmp_path / "one"), save(tmp_path / "two", threshold=0.999)
    common = ("--kind", "dummy", "--policy", POLICY, "--cases", CASES)
    files = ("--junit", tmp_path / "x.xml", "--records", tmp_path / "cases.parquet")
    code, out, _ = probe(first, *common, *files, "--json")
    assert code == 0
    saved = tmp_path / "a.json"
    saved.write_text(out, encoding="utf-8")
    outcomes = json.loads(out)["outcomes"]
    records = from_table(pq.read_table(tmp_path / "cases.parquet"))
    assert [r.id for r in records] == [o["id"] for o in outcomes]
    assert all(r.text for r in records)
    assert int(ET.parse(tmp_path / "x.xml").getroot().attrib["failures"]) == sum(not o["passed"] for o in outcomes)
    code, out, _ = probe(second, *common, "--against", saved, "--json")
    assert code == 0
    against = json.loads(out)["against"]
    assert against["cases"] == len(outcomes)
    assert against["total"]["fixed"] + against["total"]["broken"] == len(against["flips"]) > 0
    later = tmp_path / "b.json"
    later.write_text(out, encoding="utf-8")
    code, out, _ = probe(later, "--against", saved)
    assert code == 0
    assert f"against {first}: {len(outcomes)} cases in both" in out
    for option in (
        ("--records", tmp_path / "again.parquet"),
        ("--policy", POLICY),
        ("--cases", CASES),
        ("--limit", 1),
        ("--language", "de"),
    ):
        assert probe(later, *option)[0] == 2


def test_other_languages_frames_are_asked_for_by_name_and_counted_by_language(tmp_path, probe):
    options = (save(tmp_path / "target"), "--kind", "dummy", "--policy", POLICY, "--cases", CASES)
    code, out, _ = probe(*options, "--language", "de", "--language", "ru", "--json")
    assert code == 0
    found = {group["name"]: group["pass_rate"][3] for group in json.loads(out)["languages"]}
    assert found["de"] == found["ru"] > 100
    assert "by language" in probe(*options, "--language", "de")[1]
    assert "by language" not in probe(*options)[1]


def test_names_are_shown_as_they_are(tmp_path, probe, write_policy):
    clauses = [{"id": "[bold]one", "text": "One."}, {"id": "two:smile:[/]", "text": "Two."}]
    rules = write_policy(category={"clauses": clauses})
    (tmp_path / "cases.yaml").write_text(
        "clauses: {'[bold]one': {examples: [Win one.]}, 'two:smile:[/]': {examples: [Win two.]}}", encoding="utf-8"
    )
    code, out, _ = probe(
        save(tmp_path / "[red]target"), "--kind", "dummy", "--policy", rules, "--cases", tmp_path / "cases.yaml"
    )
    assert code == 0
    assert all(name in out for name in ("[red]target", "[bold]one", "two:smile:[/]"))


def test_a_job_and_a_folder_of_its_run_need_no_policy_and_no_kind(tmp_path, tiny_job, probe, monkeypatch):
    path = tiny_job()
    monkeypatch.chdir(tmp_path)
    job = jobs.load(path)
    code, _, err = probe(path)
    assert (code, "expected the job's target, found none" in err) == (2, True)
    run = pathlib.Path(job.runs) / job.name
    with open_run(run, check.identity(job, check.inputs(job))):
        pass
    for place, promoted in (("", None), ("round-00", True), ("round-01", True), ("round-02", False)):
        save(run / place / "target")
        if promoted is not None:
            (run / place / "gate").mkdir()
            (run / place / "gate" / "verdict.json").write_text(json.dumps({"promoted": promoted}), encoding="utf-8")
    assert json.loads(probe(path, "--json")[1])["target"] == str(run / "round-01" / "target")
    (run / "policy.yaml").write_text(POLICY.read_text(encoding="utf-8"), encoding="utf-8")
    code, out, _ = probe(run / "round-00" / "target", "--json")
    assert code == 0
    assert json.loads(out)["policy"] == "spam"


def test_mistakes_end_with_one_line_and_2(tmp_path, probe, write_policy):
    target = save(tmp_path / "target")
    (tmp_path / "empty").mkdir()
    other = write_policy(names=("scam",))
    known = ("--kind", "dummy", "--policy", POLICY)
    for words, said in (
        ((tmp_path / "nowhere", *known), "found none"),
        ((tmp_path / "empty", *known), "expected what a target 'dummy' saved"),
        ((target,), "Fix: --kind, one of dummy"),
        ((target, "--kind", "dumy", "--policy", POLICY), "Did you mean 'dummy'?"),
        ((target, "--kind", "dummy"), "Fix: --policy"),
        ((target, "--kind", "dummy", "--policy", other), "expected a target with labels out of"),
        ((target, *known, "--cases", tmp_path / "no.yaml"), "expected a file, found none"),
        ((target, *known, "--against", tmp_path / "no.json"), "expected a report of"),
        ((tmp_path / "no.json",), "expected a report of"),
    ):
        code, out, err = probe(*words)
        assert said in err
        assert (code, out, err.count("\n")) == (2, "", 1)


def test_a_target_that_is_used_as_it_is_needs_no_run(tiny_job, probe, tmp_path, monkeypatch):
    (tmp_path / "bystander.py").write_text("def score(texts):\n    return [0.9 if 'prize' in t else 0.1 for t in texts]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    target = {"kind": "python", "call": "bystander:score", "trust": True}
    path = tiny_job(target=target, retrain="none", max_fpr=None)
    code, out, _ = probe(path, "--json")
    assert code == 0
    assert json.loads(out)["threshold"] == 0.5
    assert not (tmp_path / "runs").exists()
    code, _, err = probe(tiny_job(target=target, retrain="none"))
    assert (code, "or `max_fpr: null` for its own" in err) == (2, True)
