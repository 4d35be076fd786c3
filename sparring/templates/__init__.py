"""Files that are written or rendered for the user: a commented job, its policy, the report's page."""

from __future__ import annotations

import pathlib
from importlib import resources

from ..errors import JobError


def write(job: pathlib.Path) -> list[pathlib.Path]:
    """Writes a commented job file and, beside it, a policy; neither takes the place of a file that is there."""
    policy = job.with_name("policy.yaml")
    for path in (job, policy):
        if path.exists():
            raise JobError(f"{path} exists already. Fix: choose another name, or remove it")
    for path, name in ((job, "job.yaml"), (policy, "policy.yaml")):
        text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("NAME", job.stem), encoding="utf-8")
    return [job, policy]
