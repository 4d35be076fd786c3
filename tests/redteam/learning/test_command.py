from __future__ import annotations

import json
import pathlib

import pytest
import yaml
from typer.testing import CliRunner

import cli
from redteam.learning import command, llm
from sparring import check, jobs, registry
from sparring.errors import JobError, MissingExtra, ReferenceNotFound, UserError


@pytest.fixture
def job(tiny_job, tmp_path):
    path = tiny_job(attack__strategy={"kind": "learned", "policy": "policy.json"}, retrain="none")
    return path, tmp_path / "policy.json"


def train(path: pathlib.Path, what: str = "operators", **options):
    return command.train(path, what, lambda event: None, **options)


def test_a_trained_policy_attacks_by_its_job_and_its_queries_count_as_warm_up(job, spar):
    path, out = job
    with pytest.raises(ReferenceNotFound):
        check.inputs(jobs.load(path))
    made = train(path, out=out, queries=400)
    first = out.read_bytes()
    assert 0 < made.figures["queries"] <= 400
    assert made.path == out
    train(path, out=out, queries=400)  # a rerun takes what is there
    assert out.read_bytes() == first
    folder = spar(path)
    (entry,) = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["rounds"]
    warmup = json.loads((folder / "round-00" / "attacker.json").read_text(encoding="utf-8"))["queries"]
    assert entry["warmup_queries"] == warmup + made.figures["queries"]
    assert entry["queries_per_seed"] > 1


def test_the_command_prints_figures_as_json_and_nothing_else(job):
    path, out = job
    result = CliRunner().invoke(cli.app, ["attack", "train", str(path), "--out", str(out), "--queries", "300", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["path"] == str(out)
    assert {"queries", "success", "effective_operators", "effective_families"} <= found.keys()


def test_a_changed_policy_file_is_another_attack(job, spar):
    path, out = job
    train(path, out=out, queries=300)
    outcomes = spar(path) / "round-00" / "outcomes"
    commits = {p: json.loads(p.read_text(encoding="utf-8")) for p in (outcomes.parents[1] / "commits").glob("*.json")}
    key = next(c["key"] for c in commits.values() if c["path"].startswith("round-00/outcomes/test"))
    changed = json.loads(out.read_text(encoding="utf-8"))
    changed["position"][0][0] += 1
    out.write_text(json.dumps(changed), encoding="utf-8")
    spar(path)
    later = [json.loads(p.read_text(encoding="utf-8")) for p in sorted((outcomes.parents[1] / "commits").glob("*.json"))]
    assert [c["key"] for c in later if c["path"].startswith("round-00/outcomes/test")][-1] != key


def test_seeds_are_training_rows_that_custody_lets_pass(job, monkeypatch):
    path, out = job
    met: list[str] = []

    def watch(target, judge, seeds, *rest, **options):
        met.extend(s.id for s in seeds)
        raise KeyboardInterrupt

    monkeypatch.setattr(command.stage, "is_prohibited", lambda text: "prize" in text)
    monkeypatch.setattr(command.operators, "train", watch)
    with pytest.raises(KeyboardInterrupt):
        train(path, out=out)
    from sparring import data
    from sparring import policy as policies

    settings = jobs.load(path)
    corpus = data.load(settings.data, policies.load(settings.policy), base=path.parent, seed=settings.seed)
    expected = {r.id for r in corpus.by("train", violating=True) if "prize" not in (r.text or "")}
    assert set(met) == expected
    assert not out.exists()


def test_mistakes_are_said_before_any_work(tiny_job, tmp_path):
    path = tiny_job()
    with pytest.raises(UserError, match="operators or llm, got 'nothing'"):
        train(path, "nothing")
    with pytest.raises(UserError, match="expected a model to train"):
        train(path, "llm")
    with pytest.raises(ReferenceNotFound):
        train(path, "llm", model="nowhere.gguf")
    (tmp_path / "mine").mkdir()
    with pytest.raises(JobError, match="expected no file there, or a folder with an earlier adapter"):
        train(path, "llm", model=str(tmp_path), out=tmp_path / "mine")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("package", ["trl", "peft"])
def test_a_missing_package_is_named_with_its_install_command(tiny_job, tmp_path, monkeypatch, package):
    monkeypatch.setattr(llm, "find_spec", lambda name: None if name == package else object())
    with pytest.raises(MissingExtra, match=rf"needs the package {package}, .* pip install 'sparring\[rl\]'"):
        train(tiny_job(), "llm", model=str(tmp_path))
    assert not (tmp_path / "runs").exists()


def test_a_policy_for_other_operators_is_said(job, tmp_path):
    path, out = job
    train(path, out=out, queries=300)
    changed = yaml.safe_load(path.read_text(encoding="utf-8"))
    operators = {name: registry.make("operator", name) for name in ("leet", "merge")}
    with pytest.raises(JobError, match="expected a policy over some of leet, merge; it knows dilution, typo"):
        registry.make("attack", changed["attack"]["strategy"]["kind"], operators=operators, knowledge=None, policy=str(out))
