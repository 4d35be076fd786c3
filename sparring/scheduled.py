"""The same schedule for somebody else's scheduler: a ready file around `sparring run JOB.yaml`, whose exit codes are the
contract (0 done, 1 try again, 2 the input is wrong: do not, 3 held by another process: try later)."""

from __future__ import annotations

import json
import pathlib
import re
import shlex

import yaml

from . import crontime, jobs
from .errors import UserError
from .schedule import COMMAND

KINDS = ("cron", "systemd", "kubernetes", "airflow")


def export(
    path: pathlib.Path, cron: str, *, to: str, image: str = "sparring:latest", folder: pathlib.Path | None = None
) -> dict[str, str]:
    """File name -> text. `folder` is the working directory, which holds `runs`. Raises `UserError`."""
    when, name = crontime.read(cron), _slug(jobs.stem(jobs.load(path)))
    place = (folder or pathlib.Path.cwd()).resolve()
    if bad := [str(p) for p in (place, path.resolve()) if re.search(r"[\n\r]", str(p))]:
        raise UserError(f"expected paths of one line, got {bad[0]!r}")
    if to == "cron":
        return {f"sparring-{name}.cron": _cron(path.resolve(), when, place)}
    if to == "systemd":
        return _systemd(path.resolve(), when, place, name)
    if to == "kubernetes":
        return {f"sparring-{name}.yaml": _kubernetes(path.name, when, name, image)}
    if to == "airflow":
        return {f"sparring_{name.replace('-', '_')}.py": _airflow(path.resolve(), when, place, name)}
    raise UserError(f"expected one of {', '.join(KINDS)}, got {to!r}")


def _cron(path: pathlib.Path, when: crontime.CronTime, place: pathlib.Path) -> str:
    words = f"cd {shlex.quote(str(place))} && {shlex.join([*COMMAND, str(path)])}"
    escaped = words.replace("%", r"\%")  # which cron takes for the end of the line
    head = "# crontab FILE, or append it to `crontab -l`. A run that is at work makes the next one exit with 3.\n"
    return f"{head}{when.line} {escaped}\n"


def _systemd(path: pathlib.Path, when: crontime.CronTime, place: pathlib.Path, name: str) -> dict[str, str]:
    def quoted(word: str, *, command: bool = False) -> str:
        word = word.replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
        return f'"{word.replace("$", "$$") if command else word}"'

    words = " ".join(quoted(word, command=True) for word in (*COMMAND, str(path)))
    directory = str(place).replace("%", "%%")
    return {
        f"sparring-{name}.service": f"""[Unit]
Description=Sparring run {name}
StartLimitIntervalSec=6h
StartLimitBurst=4

[Service]
Type=oneshot
WorkingDirectory={directory}
ExecStart={words}
Restart=on-failure
RestartSec=5min
RestartPreventExitStatus=2
""",
        f"sparring-{name}.timer": f"""[Unit]
Description=Sparring run {name}, {when.line}

[Timer]
OnCalendar={when.systemd}
Persistent=true
Unit=sparring-{name}.service

[Install]
WantedBy=timers.target
""",
    }


def _kubernetes(file: str, when: crontime.CronTime, name: str, image: str) -> str:
    container = {
        "name": "sparring", "image": image, "workingDir": "/work", "command": ["sparring", "run", f"/job/{file}"],
        "volumeMounts": [{"name": "work", "mountPath": "/work"}, {"name": "job", "mountPath": "/job", "readOnly": True}],
    }  # fmt: skip
    wrong_input = {"action": "FailJob", "onExitCodes": {"containerName": "sparring", "operator": "In", "values": [2]}}
    found = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": f"sparring-{name}"},
        "spec": {
            "schedule": when.line,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 3,
                    "podFailurePolicy": {"rules": [wrong_input]},
                    "template": {
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [container],
                            "volumes": [
                                {"name": "work", "persistentVolumeClaim": {"claimName": "sparring-work"}},
                                {"name": "job", "configMap": {"name": f"sparring-{name}-job"}},
                            ],
                        }
                    },
                }
            },
        },
    }
    head = f"# Needs the claim sparring-work and: kubectl create configmap sparring-{name}-job --from-file FOLDER_OF_THE_JOB\n"
    return head + yaml.safe_dump(found, sort_keys=False)


def _airflow(path: pathlib.Path, when: crontime.CronTime, place: pathlib.Path, name: str) -> str:
    words = [*COMMAND, str(path)]
    return f'''"""Sparring run {name}, as a DAG. One run at a time; a wrong input (exit code 2) is not tried again."""

import datetime
import subprocess

try:
    from airflow.sdk import dag, task
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # before Airflow 3
    from airflow.decorators import dag, task
    from airflow.exceptions import AirflowFailException


@dag(
    dag_id={json.dumps(f"sparring-{name}")},
    schedule={json.dumps(when.line)},
    start_date=datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc),
    catchup=False,
    max_active_runs=1,
)
def sparring():
    @task(retries=3, retry_delay=datetime.timedelta(minutes=5), retry_exponential_backoff=True)
    def run():
        code = subprocess.run({json.dumps(words)}, cwd={json.dumps(str(place))}).returncode
        if code == 2:
            raise AirflowFailException("sparring: the input is wrong (exit code 2)")
        if code:
            raise RuntimeError(f"sparring ended with {{code}}")

    run()


sparring()
'''


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:40] or "job"
