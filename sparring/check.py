"""Everything that can fail, before any work: what `sparring check` runs and every run begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from . import data, families, policy, provenance, refs, registry
from .errors import JobError, PolicyError
from .jobs import Job, Part
from .policy import Policy
from .store import check_identity
from .targets.base import BaseTarget


def inputs(job: Job) -> Policy:
    """Job, policy, parts and references: cheap, nothing is loaded. Raises what the user can mend."""
    with refs.relative_to(job.base):
        return _inputs(job)


def _inputs(job: Job) -> Policy:
    rules = policy.load(job.base / job.policy)
    for name in [*job.attack.operators, *job.attack.held_out]:
        registry.make(
            job.medium.kind("operator"), name, **job.attack.operator_settings.get(name, {})
        )  # a missing extra shows here, before any work
    registry.make("engine", job.engine.kind, **job.engine.settings)
    _strategy(job, rules)
    for kind, part in _parts(job):
        _look(kind, {"kind": part.kind, **part.settings}, job)
    _target(job, rules)
    _priced(job)
    if job.provenance.chain and job.provenance.key:
        provenance.signable(job.provenance.chain, job.provenance.key)
    if job.synth.model and not any(c.may_generate for c in rules.categories):
        names = ", ".join(c.name for c in rules.categories)
        raise PolicyError(
            f"{job.policy}: expected a category that may be generated; {names} never is. Fix: remove `synth` from the job"
        )
    unknown = sorted(set((job.data.labels or {}).values()) - set(rules.labels))
    if unknown:
        raise JobError(f"data.labels maps to {unknown[0]!r}; expected one of {', '.join(rules.labels)}")
    check_identity(job.folder / job.name, identity(job, rules))
    return rules


def _priced(job: Job) -> None:
    """Whether a limit on money knows what the language models of servers cost."""
    for settings in _writers(job) if job.limits.money is not None else ():
        name = settings.get("model") if "base_url" in settings else None
        if name is not None and name not in job.limits.prices.models:
            raise JobError(
                f"limits.money: expected a price for each model of a server, found none for {name!r}. "
                f"Fix: prices: {{models: {{{name}: {{read: 0.1, written: 0.4}}}}}}, of a million tokens; 0 where it is free"
            )


def _writers(job: Job) -> list[Mapping[str, Any]]:
    """The settings of the language models that write samples: the job's generator and the attack's own."""
    asked = [job.synth.model and job.synth.model.settings, job.attack.strategy.settings.get("model")]
    return [settings for settings in asked if isinstance(settings, Mapping)]


def _look(kind: str, settings: Mapping[str, Any], job: Job) -> None:
    """Whether a part, and those in its settings, are there to be made."""
    known = registry.takes(kind, str(settings.get("kind")))
    for name in {"model", "policy"} - ({"model"} if "base_url" in known else set()):  # a server knows its models by name
        if isinstance(reference := settings.get(name), str):
            refs.resolve(reference)
    if "embedder" in known:
        registry.find("embedder", settings.get("embedder", "minilm"))
    if isinstance(asked := settings.get("verdicts"), Mapping):
        _look("verdicts", asked, job)
        for writer in _writers(job) if kind != "target" and isinstance(asked.get("model"), str) else ():
            families.check(asked["model"], writer.get("model"))
    for criterion in settings.get("criteria", ()):
        inner = job.medium.kind("criterion")
        _look(inner, registry.settings(inner, criterion), job)


def _strategy(job: Job, rules: Policy) -> None:
    """Whether there is what the strategy works with: a language model, a target's gradients, a second target."""
    part = job.attack.strategy
    attack = job.medium.kind("attack")
    kind, strategy = part.kind, registry.find(attack, part.kind)
    if "image_model" in registry.takes(attack, kind) and job.synth.model is None:
        raise JobError(f"attack {kind!r} draws with a generator of images, and the job names none. Fix: `synth.model`")
    if "model" in registry.takes(attack, kind):
        named = part.settings.get("model")
        if named is None and job.synth.model is None:
            raise JobError(
                f"attack {kind!r} asks a language model, and the job names none. Fix: `synth.model`, or one of its own: "
                f"strategy: {{kind: {kind}, model: {{kind: openai, model: NAME, base_url: URL}}}}"
            )
        if named is not None:
            if not isinstance(named, Mapping) or "kind" not in named:
                raise JobError(
                    f"attack {kind!r}: expected `model` with a `kind` and its settings, as in `synth`; got {named!r}"
                )
            _look("text_model", named, job)
    if (second := part.settings.get("surrogate")) is not None and "surrogate" in registry.takes(attack, kind):
        if not isinstance(second, Mapping) or "kind" not in second:
            raise JobError(
                f"attack {kind!r}: expected `surrogate` with a `kind` and its settings, as in `target`; got {second!r}"
            )
        own = dict(second)
        registry.make("target", own.pop("kind"), **own).check(rules.labels)
    target, takes = job.medium.kind("target"), registry.takes(attack, kind)
    for role in ("guides", "surrogates"):
        for given in part.settings.get(role, ()) if role in takes else ():
            _steers(f"attack {kind!r}: `{role}`", given, rules)
    seconds = "surrogates" in takes and part.settings.get("surrogates")
    if getattr(strategy, "gradients", False) and not seconds and not registry.find(target, job.target.kind).gradients:
        able = ", ".join(registry.flagged(target, "gradients"))
        raise JobError(
            f"attack {kind!r} needs a target that gives gradients ({able}); got {job.target.kind!r}. "
            + (
                "Fix: `surrogates: [residual, mlp]`, trained in the run, or a strategy that asks for scores alone"
                if "surrogates" in takes
                else "Fix: such a target, or a strategy that asks for scores alone, as `greedy` does"
            )
        )


def _steers(where: str, given: Any, rules: Policy) -> None:
    """Whether something can steer a generator: an architecture of `net`, or a target of images with gradients."""
    own = {"kind": "net", "architecture": given} if isinstance(given, str) else given
    if not isinstance(own, Mapping) or "kind" not in own:
        raise JobError(f"{where}: expected architectures, or a `kind` with its settings as in `target`; got {given!r}")
    settings = dict(own)
    kind = settings.pop("kind")
    if not registry.find("image_target", kind).gradients:
        able = ", ".join(registry.flagged("image_target", "gradients"))
        raise JobError(f"{where}: expected targets that give gradients ({able}); got {kind!r}")
    registry.make("image_target", kind, **settings).check(rules.labels)


def _target(job: Job, rules: Policy) -> None:
    kind = job.medium.kind("target")
    target: BaseTarget = registry.make(kind, job.target.kind, **job.target.settings)
    target.check(rules.labels)
    if job.retrain.settings:
        registry.make(kind, job.retrained.kind, **job.retrained.settings).check(rules.labels)
    if target.trainable or job.retrain.by == "none":
        return
    if job.retrain.command and not target.references:
        raise JobError(f"target {job.target.kind!r} loads no model that `retrain` could leave. Fix: `retrain: none`")
    if job.retrain.by == "job" and job.rounds:
        command = ', or a command that trains it: "COMMAND {data} {out}"' if target.references else ""
        raise JobError(
            f"target {job.target.kind!r} is used as it is, the job can't train it; got {job.rounds} rounds of retraining. "
            f"Fix: `retrain: none`{command}"
        )


def identity(job: Job, rules: Policy) -> dict[str, Any]:
    """What makes two runs the same job: the job but where and how fast it runs, and the policy's content."""
    return job.identity | {"policy_hash": rules.content_hash}


def check(job: Job) -> dict[str, str]:
    """All of `inputs`, and the data read and split. Returns what was found, a line each."""
    rules = inputs(job)
    corpus = data.load(job.data, rules, base=job.base, seed=job.seed)
    count = Counter((r.split, r.label_name) for r in corpus.records)
    clauses = sum(len(c.clauses) for c in rules.categories)
    splits = {split: ", ".join(f"{count[split, label]} {label}" for label in rules.labels) for split in job.data.split}
    return {
        "job": f"{job.name}, {job.retrainings} retrainings, {job.attack.budget} queries a seed",
        "policy": f"{rules.name} {rules.version}, {len(rules.categories)} categories, {clauses} clauses",
        "data": f"{len(corpus.records)} unique rows, {len(corpus.rejected)} faulty",
        **splits,
        "parts": ", ".join(f"{kind} {part.kind}" for kind, part in _parts(job)),
    }


def _parts(job: Job) -> list[tuple[str, Part]]:
    named = [("target", job.target), ("attack", job.attack.strategy), ("judge", job.judges.filter), ("judge", job.judges.audit)]
    named.append(("embedder", job.mining.embedder))
    parts = [(job.medium.kind(kind), part) for kind, part in named]
    return parts + ([(job.medium.model, job.synth.model)] if job.synth.model else [])
