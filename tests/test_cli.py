from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
import typer.main
import yaml
from typer.testing import CliRunner

import cli
from sparring import check, jobs, registry
from sparring.errors import SparringError

ROOT = pathlib.Path(__file__).parent.parent
COMMANDS = sorted(typer.main.get_command(cli.app).commands)


def sparring(*words: object, cwd: pathlib.Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a user types it."""
    return subprocess.run(
        [sys.executable, "-m", "sparring", *map(str, words)], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_every_command_has_help_with_an_example():
    assert len(COMMANDS) >= 12
    for name in COMMANDS:
        result = CliRunner().invoke(cli.app, [name, "--help"])
        assert result.exit_code == 0, name
        assert f"Example: sparring {name}" in " ".join(result.output.split()), name


def test_help_is_fast_and_imports_no_torch():
    times = []
    for _ in range(3):
        start = time.perf_counter()
        assert sparring("--help").returncode == 0
        times.append(time.perf_counter() - start)
    assert min(times) < 0.4
    code = (
        "import sys, cli, typer.main as t; t.get_command(cli.app); print([m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_parts_lists_everything_that_is_registered_as_json():
    found = json.loads(CliRunner().invoke(cli.app, ["parts", "--json"]).output)
    assert {(p["kind"], p["name"]) for p in found} == {(k, n) for k in registry.table() for n in registry.names(k)}
    assert all(p["about"] for p in found), "every part says in one line what it is"


def test_a_new_job_passes_its_own_check_and_never_overwrites(tmp_path):
    assert sparring("new", tmp_path / "mine.yaml").returncode == 0
    result = sparring("check", tmp_path / "mine.yaml", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "4534 unique rows" in result.stdout
    again = sparring("new", tmp_path / "mine.yaml")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)


def test_the_commented_defaults_of_a_new_job_are_the_real_ones():
    """Every commented `# key: value` line of the template, uncommented, changes nothing."""
    text = (ROOT / "sparring" / "templates" / "job.yaml").read_text(encoding="utf-8")
    plain = jobs.Job.model_validate(yaml.safe_load(text))
    lines = text.split("\n")[1:]
    full = yaml.safe_load("\n".join(x.replace("# ", "", 1) if x.lstrip().startswith("# ") and ":" in x else x for x in lines))
    del full["synth"], full["data"]["key"], full["target"]["features"], full["limits"]  # examples, not the schema's defaults
    assert jobs.Job.model_validate(full).identity == plain.identity


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"budgett": 5}, "unknown key 'budgett'"),
        ({"attack__budgett": 5}, "did you mean 'budget'"),
        ({"policy": "nowhere.yaml"}, "expected a file, found none"),
        ({"data__source": "nowhere.csv"}, "expected a file or folder, found none"),
        ({"data__source": "pkg://no_such_package/x.csv"}, "pip install no-such-package"),
        ({"data__text": "body"}, "found 'text', 'label'"),
        ({"data__labels": {"ham": "benign", "spam": "scam"}}, "expected one of benign, spam"),
        ({"data__labels": {"ham": "benign"}}, "'spam': spam"),
        ({"data__split": {"train": 0.9, "test": 0.1}}, "that sum to 1"),
        ({"target__kind": "sklearm"}, "Did you mean 'sklearn'?"),
        ({"target__depth": 3}, "unknown key 'depth'"),
        ({"attack__operators": ["leeet"]}, "Did you mean 'leet'?"),
        ({"attack__operators": []}, "attack.operators: "),
        ({"attack__held_out": ["leeet"]}, "Did you mean 'leet'?"),
        ({"attack__held_out": ["leet", "typo"]}, "`held_out` names typo, which `operators` trains on"),
        ({"attack__operator_settings": {"codemix": {}}}, "given for codemix, which neither `operators` nor `held_out` names"),
        ({"attack__operators": ["codemix"], "attack__operator_settings": {"codemix": {"into": "xx"}}}, "out of es, fr, de"),
        ({"attack__operator_settings": {"typo": {"into": "de"}}}, "operator 'typo': "),
        ({"attack__budget": 1}, "greater than or equal to 2"),
        ({"synth__model": {"kind": "transformers", "model": "pkg://no_such_model/x"}}, "no_such_model is not installed"),
    ],
)
def test_a_users_mistake_gets_a_clean_line_exit_2_and_writes_nothing(tiny_job, tmp_path, change, said):
    path = tiny_job(**change)
    with pytest.raises(SparringError) as error:
        check.check(jobs.load(path))
    assert said in str(error.value)
    assert error.value.exit_code == 2
    assert not (tmp_path / "runs").exists()


def test_a_mistake_ends_the_command_with_one_line_and_2(tiny_job, tmp_path):
    result = sparring("run", tiny_job(attack__budgett=5), cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    assert sparring("run").returncode == 2
    assert sparring("no-such-command").returncode == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"categories": []}, "at least 1 item"),
        ({"hazard": "xyz"}, "hazard"),
        ({"hazard": "other"}, "needs a `hazard_reason`"),
        ({"never_generate": True}, "expected a category that may be generated"),
    ],
)
def test_a_policys_mistake_is_said(tiny_job, tmp_path, policy_path, change, said):
    rules = yaml.safe_load(policy_path.read_text(encoding="utf-8"))
    if "categories" in change:
        rules |= change
    else:
        rules["categories"][0] |= change
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    path = tiny_job(policy="policy.yaml", synth__model={"kind": "dummy"})
    with pytest.raises(SparringError) as error:
        check.check(jobs.load(path))
    assert said in str(error.value)
    assert error.value.exit_code == 2


def test_a_whole_run_on_a_pipe_writes_plain_lines_and_json_when_asked(tiny_job, tmp_path):
    job = tiny_job()
    first = sparring("run", job, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "\x1b[" not in first.stdout
    assert "round 1" in first.stdout
    assert "report.html" in first.stdout
    second = sparring("run", job, "--json", cwd=tmp_path)
    assert json.loads(second.stdout)["name"] == "tiny"


def test_stage_commands_stop_where_they_say(tiny_job, tmp_path):
    job = tiny_job()
    folder = tmp_path / "runs" / "tiny"
    attacked = sparring("attack", job, cwd=tmp_path)
    assert attacked.returncode == 0
    assert "valid ASR" in attacked.stdout
    found = json.loads(sparring("attack", job, "--json", cwd=tmp_path).stdout)
    valid = found["valid_asr_fresh"][0]
    assert 0 < valid <= found["asr_normalised_fresh"][0] <= found["asr_fresh"][0]
    assert sparring("attack", job, "--max-valid-asr", valid, cwd=tmp_path).returncode == 0
    refused = sparring("attack", job, "--max-valid-asr", valid / 2, cwd=tmp_path)
    assert refused.returncode == 1
    assert f"error: valid attack success {valid:.3f}; --max-valid-asr" in refused.stderr
    assert (folder / "round-00" / "outcomes").exists()
    assert not (folder / "round-00" / "target").exists()
    assert sparring("retrain", job, cwd=tmp_path).returncode == 0
    assert (folder / "round-00" / "target").exists()
    assert not (folder / "round-01").exists()
    published = sparring("publish", job, "--round", 0, cwd=tmp_path)
    assert (folder / "round-00" / "dataset" / "README.md").exists(), published.stderr


def test_a_held_run_exits_3(tiny_job, tmp_path):
    from sparring.store import open_run

    job = tiny_job()
    settings = jobs.load(job)
    rules = check.inputs(settings)
    with open_run(pathlib.Path(settings.runs) / "tiny", check.identity(settings, rules)):
        result = sparring("run", job, cwd=tmp_path)
    assert result.returncode == 3
    assert "held by process" in result.stderr


def test_data_only_makes_a_dataset_and_no_target(tiny_job, spar):
    folder = spar(tiny_job(retrain="none"))
    found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert len(found["rounds"]) == 1
    assert found["arms"] == {}
    assert not (folder / "round-00" / "target").exists()
    assert list((folder / "round-00" / "dataset" / "data").iterdir())


def test_a_classifier_can_be_trained_elsewhere(tiny_job, spar, tmp_path):
    """The command gets a dataset folder and leaves a model; ours here does what the job itself would do."""
    (tmp_path / "train.py").write_text(
        "import sys, pathlib, datasets\n"
        "from sparring.targets.dummy import DummyTarget\n"
        "rows = datasets.load_dataset(sys.argv[1], split='train', cache_dir=sys.argv[2] + '.cache')\n"
        "target = DummyTarget().fit(rows['text'], rows['label_name'], names=tuple(rows.features['label'].names), seed=0)\n"
        "target.save(pathlib.Path(sys.argv[2]))\n",
        encoding="utf-8",
    )
    command = f"{sys.executable} {tmp_path / 'train.py'} {{data}} {{out}}"
    elsewhere = json.loads((spar(tiny_job(retrain=command)) / "summary.json").read_text(encoding="utf-8"))
    here = json.loads((spar(tiny_job(name="here")) / "summary.json").read_text(encoding="utf-8"))
    assert [r["clean"]["f1"] for r in elsewhere["rounds"]] == [r["clean"]["f1"] for r in here["rounds"]]


def test_a_training_command_that_fails_is_said_with_its_own_last_line(tiny_job, spar):
    with pytest.raises(SparringError, match=r"ended with 1 and left no model: .*out of luck"):
        spar(tiny_job(retrain=f"""{sys.executable} -c "raise SystemExit('out of luck')" """))


def test_ctrl_c_exits_130_and_a_full_disk_1(tiny_job, monkeypatch, capsys):
    for error, code in ((KeyboardInterrupt(), 130), (OSError(28, os.strerror(28), "runs/x"), 1)):

        def fail(*args, error=error, **kwargs):
            raise error

        monkeypatch.setattr(cli, "app", fail)
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == code
        assert capsys.readouterr().err.count("\n") == 1


def test_mine_prints_json_alone_and_one_line_for_a_mistake(tmp_path):
    lines = [f"{'free prize now' if i % 3 else 'lunch at noon'} {i},{'spam' if i % 3 else 'ham'}" for i in range(30)]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    words = ("mine", "rows.csv", "--labels", "label", "--embedder", "dummy", "--plantings", "0")
    found = sparring(*words, "--json", cwd=tmp_path)
    assert json.loads(found.stdout)["rows"] == 30, found.stderr
    policy = ("--policy", ROOT / "examples/policies/spam.yaml")
    renamed = sparring(*words, *policy, "--rename", "ham=benign", "--json", cwd=tmp_path)
    assert json.loads(renamed.stdout)["labels"] == ["benign", "spam"]
    for wrong, said in ((("--rename", "ham"), "expected OLD=NEW"), (("--split", "a", "--split", "b"), "expected one split")):
        bad = sparring(*words, *wrong, cwd=tmp_path)
        assert bad.returncode == 2
        assert said in bad.stderr
        assert bad.stderr.count("\n") == 1
    bad = sparring("mine", "leakage", "rows.csv", "rows.csv", "--vectors", "v.npy", cwd=tmp_path)
    assert "expected --vectors as a column" in bad.stderr


def test_the_examples_in_the_help_of_mine_stand_apart():
    shown = CliRunner().invoke(cli.app, ["mine", "--help"], terminal_width=80).output
    assert "\n\n  Example: sparring mine leakage train.parquet" in shown
