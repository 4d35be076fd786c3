"""Files for other schedulers, each checked by that scheduler's own tool."""

from __future__ import annotations

import ast
import pathlib
import shutil
import subprocess

import pytest
import yaml

from sparring import scheduled
from sparring.errors import UserError

AIRFLOW = pathlib.Path(__file__).parents[2] / ".venv-airflow" / "bin" / "python"
LINES = ("0 3 * * *", "*/20 1-5 * * mon-fri", "5 4 1,15 * *")


@pytest.fixture
def job(tiny_job, tmp_path):
    odd = tmp_path / "a folder of 100%"  # spaces, and what cron and systemd read otherwise
    odd.mkdir()
    return pathlib.Path(shutil.copy(tiny_job(name="Nightly.job"), odd / "job one.yaml"))


def export(job, cron, to):
    return scheduled.export(job, cron, to=to, folder=job.parent)


@pytest.mark.skipif(not shutil.which("crontab"), reason="NOT TESTED here: cron is not installed")
@pytest.mark.parametrize("line", LINES)
def test_cron_takes_the_file(job, line):
    (text,) = export(job, line, "cron").values()
    checked = subprocess.run(["crontab", "-n", "-"], input=text, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    wrong = subprocess.run(
        ["crontab", "-n", "-"], input=text.replace(line, "61 3 * * *"), capture_output=True, text=True, check=False
    )
    assert wrong.returncode != 0, "the tool does look"
    command = text.splitlines()[1].removeprefix(line + " ").replace(r"\%", "%")
    listed = subprocess.run(["sh", "-c", command.replace("-m sparring run", "-c 'import sys; print(sys.argv[1:])'")],
                            capture_output=True, text=True, check=True)  # fmt: skip
    assert ast.literal_eval(listed.stdout) == [str(job)]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="NOT TESTED here: systemd-analyze is not installed")
@pytest.mark.parametrize("line", LINES)
def test_systemd_takes_the_units(job, line, tmp_path):
    files = export(job, line, "systemd")
    assert set(files) == {"sparring-nightly-job.service", "sparring-nightly-job.timer"}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    words = ["systemd-analyze", "verify", *(str(tmp_path / name) for name in files)]
    checked = subprocess.run(words, capture_output=True, text=True, check=False)
    said = [x for x in checked.stderr.splitlines() if "sparring-nightly-job" in x]
    assert (checked.returncode, said) == (0, [])
    (tmp_path / "sparring-nightly-job.timer").write_text(
        files["sparring-nightly-job.timer"].replace("OnCalendar=", "OnCalendar=x")
    )
    assert "sparring-nightly-job" in subprocess.run(words, capture_output=True, text=True, check=False).stderr, "it does look"


def test_kubernetes_takes_the_manifest(job):
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="NOT TESTED here: kubernetes-validate is missing")
    (text,) = export(job, "0 3 * * *", "kubernetes").values()
    manifest = yaml.safe_load(text)
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(manifest, version, strict=True)
    manifest["spec"]["concurrencyPolice"] = "Forbid"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, version, strict=True)
    spec = yaml.safe_load(text)["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    (rule,) = spec["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [2])


def test_airflow_gets_a_module_that_compiles(job):
    (text,) = export(job, "0 3 * * *", "airflow").values()
    compile(text, "dag.py", "exec")
    assert str(job) in text


READ = """
import sys
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(bag.import_errors, {name: (dag.max_active_runs, dag.catchup, dag.tasks[0].retries) for name, dag in bag.dags.items()})
"""


@pytest.mark.skipif(not AIRFLOW.exists(), reason="NOT TESTED here: no Airflow in .venv-airflow; `make .venv-airflow/done`")
def test_airflow_reads_the_dag(job, tmp_path):
    (tmp_path / "dags").mkdir()
    for name, text in export(job, "0 3 * * *", "airflow").items():
        (tmp_path / "dags" / name).write_text(text, encoding="utf-8")
    own = {"PATH": "/usr/bin:/bin", "AIRFLOW_HOME": str(tmp_path / "home"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    words = [str(AIRFLOW), "-c", READ, str(tmp_path / "dags")]
    found = subprocess.run(words, capture_output=True, text=True, check=True, env=own)
    assert found.stdout.splitlines()[-1] == "{} {'sparring-nightly-job': (1, False, 3)}"


def test_an_unknown_scheduler_is_refused(job):
    with pytest.raises(UserError, match="expected one of cron, systemd, kubernetes, airflow"):
        export(job, "0 3 * * *", "windows")
