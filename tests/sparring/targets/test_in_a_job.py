"""Targets that a job does not train: check, threshold, resume, references relative to the job, a command that trains."""

from __future__ import annotations

import csv
import json
import pathlib
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import skops.io
import yaml
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sparring import check, jobs, retrain
from sparring.context import open_context
from sparring.errors import JobError, SparringError
from sparring.protocols import violation_scores

TRAIN = """
import sys, datasets, skops.io
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
rows = datasets.load_dataset(sys.argv[1], cache_dir=sys.argv[1] + "-cache")["train"]
pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression(C=7.0)).fit(rows["text"], rows["label_name"])
skops.io.dump(pipeline, sys.argv[2])
"""


def pipeline_of(rows: pathlib.Path, C: float = 1.0):
    with rows.open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=C)).fit(
        [r["text"] for r in found], [r["label"] for r in found]
    )


@pytest.fixture
def file_job(tiny_job, tmp_path):
    """A job whose target is a file beside it, named by a relative path; changes go on top."""

    def write(**changes):
        target = {"kind": "sklearn_file", "model": "models/spam.skops", "labels": {"ham": "benign", "spam": "spam"}}
        job = tiny_job(**{"target": target, "retrain": "none"} | changes)
        (tmp_path / "models").mkdir(exist_ok=True)
        skops.io.dump(pipeline_of(tmp_path / "rows.csv"), tmp_path / "models" / "spam.skops")
        return job

    return write


def fitted(job: pathlib.Path, path: str = "target"):
    """The target as the loop gets it, and whether it was made now; what came before in the folder is kept."""
    with open_context(jobs.load(job), lambda event: None) as ctx:
        before = ctx.run.units_done
        return retrain.fit(ctx, path, ctx.corpus.by("train"), seed=0), ctx.run.units_done > before


def test_a_fixed_classifier_is_attacked_measured_and_published(file_job, spar, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # the model is looked for beside the job, wherever the command is typed
    folder = spar(file_job())
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    (only,) = found["rounds"]
    assert only["clean"]["f1"][0] > 0.8
    assert only["asr_fresh"][0] > 0.2
    assert only["promoted"] is None
    assert only["added_rows"] > 0
    for name in ("manifest.json", "target/target.json"):
        said = (folder / name).read_text(encoding="utf-8")
        assert '"models/spam.skops"' in said
        assert str(tmp_path) not in said.replace(str(tmp_path / "runs"), "").replace(str(json.loads(said).get("policy")), "")


def test_a_classifier_behind_a_url_is_attacked(tiny_job, spar, server):
    target = {
        "kind": "http", "url": f"{server.url}/many", "request": {"input": "{texts}"}, "batch_size": 256,
        "scores": {"spam": "results[*].category_scores.spam"},
    }  # fmt: skip
    folder = spar(tiny_job(target=target, retrain="none"))
    (only,) = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["rounds"]
    assert only["asr_fresh"][0] > 0.2
    asked = sum(len(body["input"]) for body in server.bodies)
    assert asked > 500
    server.bodies.clear()
    spar(tiny_job(target=target, retrain="none"))
    assert sum(len(body["input"]) for body in server.bodies) < asked / 2, "a rerun asks for figures at most, not for attacks"


def test_a_guard_is_attacked_under_the_jobs_policy(tiny_job, spar):
    target = {"kind": "llm_guard", "verdicts": {"kind": "dummy"}}
    (only,) = json.loads((spar(tiny_job(target=target, retrain="none")) / "summary.json").read_text(encoding="utf-8"))["rounds"]
    assert only["asr_fresh"][0] > 0.2
    with pytest.raises(JobError, match=r"Fix: `retrain: none`$"):
        check.check(jobs.load(tiny_job(name="again", target=target)))


def test_a_saved_target_with_a_relative_model_can_be_probed_from_anywhere(file_job, tmp_path, monkeypatch):
    from mining.probe import command

    job = file_job()
    fitted(job)
    monkeypatch.chdir("/")
    found = command.of_job(job)
    assert command.load(found).predict_proba(["free prize"]).shape == (1, 2)


@pytest.mark.slow
def test_the_example_runs_against_a_server_on_loopback(server, spar, tmp_path):
    example = pathlib.Path(__file__).parents[3] / "examples" / "sms_http.yaml"
    job = yaml.safe_load(example.read_text(encoding="utf-8"))
    judge = {"kind": "classifier", "embedder": "dummy"}
    job |= {"runs": str(tmp_path / "runs"), "policy": str(example.parent / job["policy"])}
    job |= {"judges": {"filter": dict(judge), "audit": dict(judge)}}
    job["target"]["url"] = f"{server.url}/classify"
    job["attack"] |= {"train_seeds": 10, "test_seeds": 30, "warmup": 100}
    job["mining"] = {"embedder": {"kind": "dummy"}, "select": 10}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job), encoding="utf-8")
    (only,) = json.loads((spar(tmp_path / "job.yaml") / "summary.json").read_text(encoding="utf-8"))["rounds"]
    assert only["asr_fresh"][3] > 5, "seeds that a counter of six words catches"
    assert max(len(body["input"]) for body in server.bodies) == 64


def test_the_threshold_is_set_on_validation_rows_or_left_as_it_is(file_job):
    by_rate, _ = fitted(file_job(name="rate", max_fpr=0.1))
    own, _ = fitted(file_job(name="own", max_fpr=None))
    target = {"kind": "sklearn_file", "model": "models/spam.skops", "labels": {"ham": "benign", "spam": "spam"}}
    set_by_hand, _ = fitted(file_job(name="hand", max_fpr=None, target=target | {"threshold": 0.8}))
    by_class, _ = fitted(file_job(name="class", max_fpr=None, target=target | {"thresholds": {"spam": 0.8}}))
    assert own.target.threshold == by_class.target.threshold == 0.5
    assert set_by_hand.target.threshold == 0.8
    assert by_rate.target.threshold not in (0.5, 0.8)
    texts = ["free prize call 08001234567", "see you at home", "win cash", "free lunch", "call me now"]
    decided = [violation_scores(t.target, texts) > t.target.threshold for t in (set_by_hand, by_class)]
    assert decided[0].tolist() == decided[1].tolist()
    assert not np.allclose(violation_scores(own.target, texts), violation_scores(by_class.target, texts))


def test_a_trained_target_keeps_its_own_threshold_too(tiny_job):
    assert fitted(tiny_job(max_fpr=None, target__threshold=0.9))[0].target.threshold == 0.9


def test_changed_weights_under_the_same_name_are_another_target(file_job, tmp_path):
    job = file_job()
    first, made = fitted(job)
    assert made
    same, made = fitted(job)
    assert not made
    assert same.key == first.key
    skops.io.dump(pipeline_of(tmp_path / "rows.csv", C=0.01), tmp_path / "models" / "spam.skops")
    other, made = fitted(job)
    assert made
    assert other.key != first.key


def test_a_model_to_fine_tune_is_found_beside_the_job_and_its_content_counts(tiny_job, tiny_bert, tmp_path, monkeypatch):
    import shutil

    monkeypatch.chdir("/")
    shutil.copytree(tiny_bert, tmp_path / "bert")
    target = {"kind": "transformers", "model": "bert", "epochs": 1, "max_length": 16}
    job = tiny_job(target=target, retrain="none")
    first, made = fitted(job)
    assert made
    with (tmp_path / "bert" / "tokenizer_config.json").open("a", encoding="utf-8") as file:
        file.write("\n")
    second, made = fitted(job)
    assert made
    assert second.key != first.key


def test_a_key_does_not_hang_on_where_the_job_lies(file_job, tmp_path):
    job = file_job()
    first, _ = fitted(job)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("job.yaml", "rows.csv", "models"):
        (tmp_path / name).rename(moved / name)
    again, made = fitted(moved / "job.yaml")
    assert not made
    assert again.key == first.key
    assert again.target.predict_proba(["free prize"]).shape == (1, 2)


@pytest.mark.parametrize(
    ("target", "changes", "said"),
    [
        ({}, {"retrain": {}}, "can't train it; got 1 rounds of retraining. Fix: `retrain: none`, or a command that trains it"),
        ({"kind": "python", "call": "profanity_check:predict_prob", "trust": True}, {"retrain": {}}, "Fix: `retrain: none`$"),
        (
            {"kind": "python", "call": "profanity_check:predict_prob", "trust": True}, {"retrain": "true {data} {out}"},
            "loads no model that `retrain` could leave. Fix: `retrain: none`",
        ),
        ({"labels": {"ham": "benign", "spam": "scam"}}, {}, "maps to 'scam'; expected one of benign, spam"),
        ({"labels": {"ham": "benign"}}, {}, "expected a class in `labels` for one of spam"),
        ({"model": "models/absent.skops"}, {}, "expected a file or folder, found none at .*/models/absent.skops"),
    ],
    ids=str,
)  # fmt: skip
def test_a_job_that_cannot_work_is_refused_by_the_check_with_the_fix(file_job, tmp_path, target, changes, said):
    known = {"kind": "sklearn_file", "model": "models/spam.skops", "labels": {"ham": "benign", "spam": "spam"}}
    job = file_job(target=target if "kind" in target else known | target, **changes)
    with pytest.raises(SparringError, match=said) as raised:
        check.check(jobs.load(job))
    assert raised.value.exit_code == 2
    assert not (tmp_path / "runs").exists()


def test_without_rounds_nothing_is_retrained_and_nothing_refused(file_job):
    check.check(jobs.load(file_job(retrain={}, rounds=0)))


def test_a_command_trains_what_is_used_as_it_is_and_the_run_keeps_it(file_job, tmp_path):
    (tmp_path / "train.py").write_text(TRAIN, encoding="utf-8")
    target = {"kind": "sklearn_file", "model": "models/spam.skops"}  # the command's classes are the policy's labels
    job = file_job(target=target, retrain=f"{sys.executable} {tmp_path / 'train.py'} {{data}} {{out}}")
    check.check(jobs.load(job))
    trained, made = fitted(job)
    assert made
    estimator = skops.io.load(tmp_path / "runs" / "tiny" / "target" / "model")
    assert estimator[-1].C == 7.0, "what was attacked is what the command left, not the job's own file"
    (tmp_path / "models" / "spam.skops").unlink()
    texts = ["free prize call 08001234567", "see you at home"]
    np.testing.assert_allclose(trained.target.predict_proba(texts), estimator.predict_proba(texts), atol=1e-7)
    assert trained.target.threshold != 0.5


def test_a_command_that_leaves_other_classes_is_refused(tiny_job, tmp_path):
    (tmp_path / "train.py").write_text(
        "import sys, pathlib; from sparring.targets.dummy import DummyTarget as D\n"
        "D().fit(['a', 'b'], ['x', 'y'], names=('x', 'y'), seed=0).save(pathlib.Path(sys.argv[2]))",
        encoding="utf-8",
    )
    with pytest.raises(JobError, match=r"expected a model with the labels \('benign', 'spam'\), got \('x', 'y'\)"):
        fitted(tiny_job(retrain=f"{sys.executable} {tmp_path / 'train.py'} {{data}} {{out}}"))


def test_a_target_that_fails_on_some_rows_of_each_split_is_measured_on_the_others(tiny_job, spar, tmp_path, monkeypatch):
    (tmp_path / "flaky.py").write_text(
        """
import zlib
WORDS = "prize claim won win cash congratulations text call winner free".split()
def score(texts):
    if any(zlib.crc32(t.encode()) % 9 == 0 for t in texts):
        raise ValueError("too long")
    return [min(0.99, 0.05 + 0.2 * sum(w in t for w in WORDS)) for t in texts]
"""
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    target = {"kind": "python", "call": "flaky:score", "trust": True}
    folder = spar(tiny_job(target=target, retrain="none"))
    (only,) = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["rounds"]
    rows = pq.read_table(folder / "data" / "part-00000.parquet", columns=["split"])["split"].to_pylist()
    assert only["failed_rows"] > 0
    assert only["clean"]["f1"][3] + only["failed_rows"] == rows.count("test")
    assert only["failed_seeds"] > 0
    assert only["asr_fresh"][3] > 0
