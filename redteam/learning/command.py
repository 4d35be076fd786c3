"""What `sparring attack train` does: trains against the job's target, on training rows, in a run folder of its own."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from sparring import jobs, refs, retrain
from sparring.context import Context, Event, Progress, open_context
from sparring.errors import JobError, UserError
from sparring.jobs import Job, Part
from sparring.record import digest
from sparring.retrain import Trained
from sparring.store import source_of

from .. import engine, stage
from ..engine import Seed
from . import chains, llm, operators, rewards, rewrites
from .llm import Rewriter

QUERIES = {"operators": 8000, "llm": 2048}
OUT = {"operators": "policy.json", "llm": "adapter"}


@dataclass(frozen=True, slots=True)
class Made:
    """Where the attacker is, and what its training came to."""

    path: pathlib.Path
    figures: Mapping[str, Any]


def train(
    path: pathlib.Path, what: str, progress: Progress, *,
    out: pathlib.Path | None = None, model: str | None = None, queries: int | None = None,
) -> Made:  # fmt: skip
    """Trains a policy over operators, or a language model, against the job's first target; `queries` is the most scores of
    the target that it may cost. A rerun of the same command takes what is there."""
    if what not in QUERIES:
        raise UserError(f"expected --what operators or llm, got {what!r}")
    job = jobs.load(path)
    out, queries = out or pathlib.Path(OUT[what]), queries or QUERIES[what]
    rewriter = _rewriter(job, model) if what == "llm" else None
    if rewriter:
        llm.check_installed()
        _check_folder(out)
    with open_context(_own(job), progress) as ctx:
        trained = retrain.fit(ctx, "target", ctx.corpus.by("train"), seed=job.seed)
        return _llm(ctx, trained, out, queries, rewriter) if rewriter else _operators(ctx, trained, out, queries)


def _own(job: Job) -> Job:
    """The job under another name and without its strategy, which may name the very policy that is to be trained."""
    attack = job.attack.model_copy(update={"strategy": Part(kind="learned")})
    return job.model_copy(update={"name": f"{job.name}-attacker", "attack": attack})


def _operators(ctx: Context, trained: Trained, out: pathlib.Path, queries: int) -> Made:
    known = stage.learn(ctx, "warmup.json", trained)  # for the phrases of dilution, as the attack will have them
    able = ctx.operators(known.phrase_texts)
    key = {
        **_key(ctx, trained, queries), "operators": list(map(repr, able.values())), "knowledge": digest(known.to_json()),
        "code": source_of(operators, chains, rewards, engine, *map(type, able.values())),
    }  # fmt: skip

    def make() -> Any:
        found = operators.train(
            trained.target, ctx.judges.filter, _seeds(ctx), able, _rows(ctx), budget=queries, seed=ctx.job.seed,
            progress=_progress(ctx, "train operators"),
        )  # fmt: skip
        return found.policy.to_json(**found.about(), weights=operators.WEIGHTS, job=ctx.job.name, target=trained.key)

    found = ctx.run.json("policy.json", key, make)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(f".{out.name}.aside")
    shutil.copyfile(ctx.run.folder / "policy.json", aside)
    os.replace(aside, out)
    return Made(out, {"queries": found["queries"], **found["about"]})


def _llm(ctx: Context, trained: Trained, out: pathlib.Path, queries: int, rewriter: Rewriter) -> Made:
    key = {
        **_key(ctx, trained, queries), **rewriter.describe(), **rewriter.settings(),
        "code": source_of(llm, rewrites, rewards, engine),
    }  # fmt: skip

    def make(aside: pathlib.Path) -> None:
        rewriter.train(
            trained.target, ctx.judges.filter, _seeds(ctx), ctx.policy, _rows(ctx), aside, budget=queries,
            seed=ctx.job.seed, progress=_progress(ctx, "train llm"),
        )  # fmt: skip

    made = ctx.run.unit("adapter", key, make)
    if out.exists():
        shutil.rmtree(out)
    shutil.copytree(made, out)
    return Made(out, llm.about(out))


def _key(ctx: Context, trained: Trained, queries: int) -> dict[str, Any]:
    return {**ctx.key, "target": trained.key, "judges": ctx.job.judges, "queries": queries}


def _seeds(ctx: Context) -> list[Seed]:
    """Violating training rows that custody lets pass, in an order of the job's seed."""
    rows = stage.attackable(ctx, ctx.corpus.by("train", violating=True))
    Random(digest(ctx.job.seed, "attacker")).shuffle(rows)
    return [Seed(r.id, r.text or "", r.label_name, r.clause) for r in rows]


def _rows(ctx: Context) -> list[str]:
    return [r.text or "" for r in ctx.corpus.by("train")]


def _progress(ctx: Context, name: str) -> Any:
    return lambda done, total: ctx.progress(Event(name, 0, done, total))


def _rewriter(job: Job, model: str | None) -> Rewriter:
    """Of the reference that was given, or that of the job's generator. Raises `UserError` where there is neither."""
    part = job.synth.model
    if model is None and part and part.kind in ("transformers", "vllm"):
        model = part.settings.get("model")
    if model is None:
        raise UserError("expected a model to train. Fix: --model hf://ORG/NAME, a folder, a .gguf file or pkg://PACKAGE/FILE")
    refs.resolve(model)
    return Rewriter(model=model, threads=job.threads)


def _check_folder(out: pathlib.Path) -> None:
    """Only a folder that this command wrote is replaced."""
    if out.exists() and not (out / llm.ABOUT).is_file():
        raise JobError(f"{out}: expected no file there, or a folder with an earlier adapter of ours. Fix: another --out")
