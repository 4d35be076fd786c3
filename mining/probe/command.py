"""What `sparring probe` does: finds the target and its policy, builds the suite, puts it to the target."""

from __future__ import annotations

import json
import pathlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from sparring import check, jobs, policy, refs, registry
from sparring.errors import ReferenceNotFound, UserError
from sparring.policy import Policy
from sparring.record import BENIGN, to_table
from sparring.targets.base import BaseTarget

from . import compare, examine, material, report, suite
from .report import Report
from .suite import Suite


@dataclass(frozen=True, slots=True)
class Found:
    """A saved target, and the policy file that it was trained for where that is known."""

    folder: pathlib.Path
    kind: str
    policy: pathlib.Path | None
    base: pathlib.Path = pathlib.Path()  # where relative references of its settings count from
    target: BaseTarget | None = None  # one that needs no folder


def probe(
    place: pathlib.Path, *,
    policy_file: pathlib.Path | None = None, cases: Sequence[pathlib.Path] = (), kind: str | None = None,
    seed: int = 0, limit: int | None = None, languages: Sequence[str] = (),
    records: pathlib.Path | None = None, against: pathlib.Path | None = None,
) -> Report:  # fmt: skip
    """`place` is a job file (its latest promoted target), a folder that a target was saved to, or a report as JSON, which
    is read again. `records` is where the cases go with their texts, as parquet; `against` is an earlier report."""
    if place.suffix == ".json":
        if records or policy_file or cases or kind or limit or languages:
            raise UserError(f"{place} is read as it is. Fix: give it alone or with --against, or probe the target again")
        found = report.read(place)
    else:
        saved = of_job(place) if place.suffix in (".yaml", ".yml") else of_folder(place, kind)
        target = saved.target or load(saved)
        rules = _policy(saved, policy_file)
        made = _suite(target, rules, cases, seed=seed, limit=limit, languages=languages)
        found = examine.examine(target, made, rules, name=str(saved.folder))
        if records:
            _write(records, made, rules)
    if against:
        return found.model_copy(update={"against": compare.compare(report.read(against), found)})
    return found


def of_job(path: pathlib.Path) -> Found:
    """The job's target as of the last promotion in its run folder; one that is used as it is, at its own threshold, needs no
    run."""
    job = jobs.load(path)
    rules = check.inputs(job)
    run = job.folder / job.name
    folder = run / "target"
    for verdict in sorted(run.glob("round-*/gate/verdict.json")):
        if json.loads(verdict.read_text(encoding="utf-8"))["promoted"]:
            folder = verdict.parents[1] / "target"
    target = None
    if not folder.is_dir():
        part = registry.find("target", job.target.kind)
        if part.trainable or job.retrain.command or job.max_fpr is not None:
            fix = "" if job.max_fpr is None or part.trainable else ", which sets its threshold; or `max_fpr: null` for its own"
            raise ReferenceNotFound(f"{folder}: expected the job's target, found none. Fix: `sparring run {path}` first{fix}")
        with refs.relative_to(job.base):
            target = part(**job.target.settings)
            target = target.under(rules) if hasattr(target, "under") else target.with_labels(rules.labels)
    return Found(folder, job.target.kind, job.base / job.policy, job.base, target)


def of_folder(folder: pathlib.Path, kind: str | None) -> Found:
    """A target's folder; inside a run, the run's manifest says its kind, and the run holds its policy."""
    if not folder.is_dir():
        raise ReferenceNotFound(f"{folder}: expected a job file, a saved target's folder or a report .json; found none")
    run = next((parent for parent in folder.resolve().parents if (parent / "manifest.json").is_file()), None)
    if run:
        kind = kind or json.loads((run / "manifest.json").read_text(encoding="utf-8"))["target"]["kind"]
    if not kind:
        known = ", ".join(registry.names("target"))
        raise UserError(f"{folder}: expected a target inside a run folder, or its kind. Fix: --kind, one of {known}")
    rules = run / "policy.yaml" if run else None
    return Found(folder, kind, rules if rules and rules.is_file() else None)


def load(found: Found) -> BaseTarget:
    """The saved target. Raises `ReferenceNotFound` when the folder holds none of that kind."""
    part: type[BaseTarget] = registry.find("target", found.kind)
    try:
        with refs.relative_to(found.base):
            return part.load(found.folder)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:  # TypeError: skops found an unknown type
        said = " ".join(str(error).split())[:200]
        raise ReferenceNotFound(f"{found.folder}: expected what a target {found.kind!r} saved: {said}") from error


def _policy(found: Found, given: pathlib.Path | None) -> Policy:
    path = given or found.policy
    if path is None:
        raise UserError(f"{found.folder}: expected a policy, for the target stands in no run folder. Fix: --policy POLICY.yaml")
    return policy.load(path)


def _suite(
    target: BaseTarget, rules: Policy, cases: Sequence[pathlib.Path], *, seed: int, limit: int | None, languages: Sequence[str]
) -> Suite:
    if target.labels[:1] != (BENIGN,) or not set(target.labels) <= set(rules.labels):
        raise UserError(
            f"expected a target with labels out of the policy {rules.name!r}, {', '.join(rules.labels)}, benign first; "
            f"it has {', '.join(target.labels)}. Fix: --policy with the one that it was trained for"
        )
    materials = [material.load(path, rules) for path in cases]
    return suite.build(rules, materials, labels=target.labels, seed=seed, limit=limit, languages=languages)


def _write(path: pathlib.Path, made: Suite, rules: Policy) -> None:
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(to_table([case.record for case in made.cases], rules.labels), path, compression="zstd")
