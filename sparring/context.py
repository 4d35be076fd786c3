"""What every stage of a run is given: the job, the policy, the data, the judges, the run folder, a place to report to."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from . import check, data, embed, engines, refs, registry, store
from .data import Corpus
from .jobs import Job
from .ledger import Ledger
from .meter import Meter
from .policy import Policy
from .protocols import Embedder, Judge, TextModel
from .record import to_table
from .remembered import Remembered
from .shared_ledger import SharedLedger
from .store import Run


@dataclass(frozen=True, slots=True)
class Event:
    """Progress: `done` of `total` units of a stage, with the counts so far."""

    stage: str
    round: int
    done: int = 0
    total: int = 0
    counts: Mapping[str, Any] = field(default_factory=dict)


Progress = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Judges:
    """`filter` decides what is kept; `audit`, another encoder on other rows, is asked at the end only."""

    filter: Judge
    audit: Judge


@dataclass(frozen=True)
class Context:
    job: Job
    policy: Policy
    corpus: Corpus
    run: Run
    judges: Judges
    embedder: Embedder  # mining's
    progress: Progress
    ledger: Ledger  # of what models wrote and drew, shared by all runs of the folder `runs`
    meter: Meter

    @property
    def key(self) -> dict[str, Any]:
        """What every unit's key holds: data, policy, seed."""
        return {"data": self.job.data, "policy": self.policy.content_hash, "seed": self.job.seed}

    def operators(self, phrases: tuple[str, ...] = (), names: Sequence[str] = ()) -> dict[str, Any]:
        """The job's operators, for its medium, or those of `names`; `phrases` are what dilution draws from, its own small talk
        without them."""
        made: dict[str, Any] = {}
        kind = self.job.medium.kind("operator")
        for name in names or self.job.attack.operators:
            given = {"phrases": phrases} if phrases and name == "dilution" else {}
            made[name] = registry.make(kind, name, **given | self.job.attack.operator_settings.get(name, {}))
            made[name].payload = self.policy.payload
        return made

    @property
    def families(self) -> list[str]:
        """The families of what the job's attack can do: of its operators, or of what a strategy makes without them."""
        kind, strategy = self.job.medium.kind("attack"), self.job.attack.strategy.kind
        chosen = "operators" in registry.takes(kind, strategy)
        steps = self.job.attack.operators if chosen else registry.find(kind, strategy).makes
        return sorted({registry.family(step) for step in steps})

    def target(self, *, again: bool = False) -> Any:
        """The job's target, not fitted yet, or `again` what it is retrained as; one that judges by a policy is given the
        job's."""
        part = self.job.retrained if again else self.job.target
        made = registry.make(self.job.medium.kind("target"), part.kind, **part.settings)
        return made.under(self.policy) if hasattr(made, "under") else made

    def remembered(self, model: TextModel) -> Remembered:
        """The model with the ledger before it."""
        return Remembered(model, self.ledger, by=self.job.name, meter=self.meter)

    def record(self, **fields: Any) -> dict[str, Any]:
        """Fields that every record of this job shares."""
        return {"policy": self.policy.name, "policy_version": self.policy.version, **fields}


@contextlib.contextmanager
def open_context(job: Job, progress: Progress) -> Iterator[Context]:
    """Checks policy and data, then takes the run folder. Nothing is written before all input was found good."""
    rules = check.inputs(job)
    corpus = data.load(job.data, rules, base=job.base, seed=job.seed)
    set_threads(job.threads)
    runs, place = job.folder, job.place
    with (
        refs.relative_to(job.base),
        store.open_run(
            runs / job.name, check.identity(job, rules), repaired=_told(progress), place=place and place / job.name
        ) as run,
        _ledger(job, run) as ledger,
        engines.using(registry.make("engine", job.engine.kind, **job.engine.settings), run.log.write),
    ):
        progress = _logged(progress, run)
        progress(Event("data", 0, 0, 1))
        policy_text = (job.base / job.policy).read_text(encoding="utf-8")
        run.unit("policy.yaml", rules.content_hash, lambda aside: _write_text(aside, policy_text))
        _write_data(run, corpus, rules)
        judges, embedder = _judges(job, rules, corpus)
        progress(Event("data", 0, 1, 1, {"rows": len(corpus.records), "rejected": len(corpus.rejected)}))
        yield Context(job, rules, corpus, run, judges, embedder, progress, ledger, Meter(job.limits, run))


def _ledger(job: Job, run: Run) -> Ledger:
    folder, place = job.folder / ".ledger", job.place
    return SharedLedger(folder, place / "ledger", told=run.log.write) if place else Ledger(folder, told=run.log.write)


def _logged(progress: Progress, run: Run) -> Progress:
    """Each event to the log as well, numbers and names alone."""

    def show(event: Event) -> None:
        told = {"stage": event.stage.replace(" ", "-"), "round": event.round, "done": event.done, "total": event.total}
        run.log.write("progress", {**event.counts, **told})
        progress(event)

    return show


def _told(progress: Progress) -> Callable[[str], None]:
    return lambda event: progress(Event("repaired", 0, 1, 1, {event: 1}))


def set_threads(threads: int) -> None:
    """Spinning threads on busy cores are many times slower than one: OpenMP waits passively, torch gets `threads`."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    import torch

    torch.set_num_threads(threads)


def _judges(job: Job, rules: Policy, corpus: Corpus) -> tuple[Judges, Embedder]:
    made: dict[str, Embedder] = {}
    kind, judging = job.medium.kind("embedder"), job.medium.kind("judge")

    def embedder(name: str, **settings: Any) -> Embedder:
        if name not in made:
            made[name] = embed.Cached(registry.make(kind, name, **settings)) if settings else embed.shared(name, kind)
        return made[name]

    def made_of(kind: str, settings: Mapping[str, Any], offers: Mapping[str, Any]) -> Any:
        """A part with those of what the job offers that it takes and its settings leave open."""
        known = registry.takes(kind, settings["kind"])
        own = {"embedder": "minilm"} | dict(settings) if "embedder" in known else dict(settings)
        if isinstance(own.get("embedder"), str):
            own["embedder"] = embedder(own["embedder"])
        inner = {"make": lambda given: made_of(job.medium.kind("criterion"), given, offers)}
        name = own.pop("kind")
        return registry.make(kind, name, **registry.offered(kind, name, {**offers, **inner}) | own)

    fitted = []
    generator = job.synth.model.settings.get("model") if job.synth.model else None
    offers = {"longer": job.judges.longer, "patterns": rules.payload, "policy": rules, "generator": generator}
    roles = ((job.judges.filter, job.judges.cosine), (job.judges.audit, 0.0))  # the audit asks the label alone
    for (part, cosine), rows in zip(roles, data.judge_rows(corpus, job.seed), strict=True):
        judge = made_of(judging, {"kind": part.kind, **part.settings}, offers | {"cosine": cosine})
        contents, labels = [r.content for r in rows], [r.label_name for r in rows]
        fitted.append(judge.fit(contents, labels, groups=[r.group for r in rows]))
    return Judges(*fitted), embedder(job.mining.embedder.kind, **job.mining.embedder.settings)


def _write_text(path: pathlib.Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _write_data(run: Run, corpus: Corpus, rules: Policy) -> None:
    def write(aside: pathlib.Path) -> None:
        aside.mkdir()
        pq.write_table(to_table(corpus.records, rules.labels), aside / "part-00000.parquet", compression="zstd")
        (aside / "rejected.csv").write_text(
            "row,reason\n" + "".join(f"{r.row},{r.reason}\n" for r in corpus.rejected), encoding="utf-8"
        )

    run.unit("data", [r.content_hash for r in corpus.records], write)
