"""The `sparring` command: parses, builds a config, makes one library call, renders."""

from __future__ import annotations

import json as _json
import os
import pathlib
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from redteam import app as attacking
from sparring.commands import JobPath, Json
from sparring.commands import runs as _runs
from sparring.commands import schedule as _schedule
from sparring.publishing import command as publishing
from synth.app import app as synth_app

if TYPE_CHECKING:
    from rich.console import Console

    from sparring.jobs import Job
    from sparring.stages import Stages

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.add_typer(_runs.app, name="runs")
app.add_typer(_schedule.app, name="schedule")
app.add_typer(synth_app, name="synth")
Round = Annotated[int, typer.Option("--round", help="Stop after this round's stage; 0 is before any retraining.", min=0)]


@app.callback()
def _about() -> None:
    """A sparring partner for content-moderation classifiers: attacks a classifier, mines what it misses, publishes it as a
    dataset, retrains, measures whether that helped, and spars again."""


@app.command()
def run(job: JobPath, json: Json = False) -> None:
    """Spar: every round of the job, then summary.json, the report and the dataset. A rerun resumes.

    Example: sparring run examples/sms_spam.yaml
    """
    _spar(job, None, json, fresh=True)


@synth_app.command("job", hidden=True)
def synth(job: JobPath, round: Round = 0) -> None:
    """Have the job's language model write violating samples, and the filter judge keep those that violate.

    Example: sparring synth examples/sms_spam.yaml
    """
    _spar(job, (round, "synth"))


@app.command()
def mine(
    source: Annotated[
        list[str],
        typer.Argument(
            help="A data set (file, folder or name on the hub); `leakage A B` for two of them; `decisions OUT EXPORT.json` to "
            "take in what annotators decided in Label Studio; or a job file.",
            metavar="DATASET | leakage A B | decisions OUT EXPORT.json | JOB.yaml",
        ),
    ],
    labels: Annotated[str | None, typer.Option(help="Column of the given labels; rows without one are unlabelled.")] = None,
    policy: Annotated[pathlib.Path | None, typer.Option(help="The policy: its labels, benign first.")] = None,
    rename: Annotated[
        list[str] | None, typer.Option(help="A label and what the policy calls it, ham=benign; may be repeated.")
    ] = None,
    out: Annotated[pathlib.Path, typer.Option(help="Folder for the table, the report and the embeddings.")] = pathlib.Path(
        "mined"
    ),
    text: Annotated[str | None, typer.Option(help="Column of texts; found by itself where only one can be meant.")] = None,
    image: Annotated[str | None, typer.Option(help="Column of images.")] = None,
    key: Annotated[str | None, typer.Option(help="Column of ids of your own; else a hash of the content.")] = None,
    vectors: Annotated[str | None, typer.Option(help="Embeddings you have: a column, or a .npy file.")] = None,
    scores: Annotated[str | None, typer.Option(help="The classifier's scores, in the labels' order: a column or .npy.")] = None,
    dynamics: Annotated[
        pathlib.Path | None,
        typer.Option(help="A .npy of mean probabilities over training epochs, (rows, labels): a view more."),
    ] = None,
    target: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="Your classifier, a job file or a saved target's folder: its scores, and how often disguises turn them."
        ),
    ] = None,
    guard: Annotated[
        pathlib.Path | None, typer.Option(help="Settings of an `llm_guard` as YAML: its verdict on rows in dispute.")
    ] = None,
    lineage: Annotated[str | None, typer.Option(help="Column that names rows of one origin; they stay together.")] = None,
    attribute: Annotated[list[str] | None, typer.Option(help="Column to look for slices in; may be repeated.")] = None,
    annotators: Annotated[
        list[str] | None,
        typer.Option(
            help="Labels of several people: a column of each, may be repeated, or one of lists. Without --labels: all."
        ),
    ] = None,
    benign: Annotated[str | None, typer.Option(help="The harmless label, where no policy says it.")] = None,
    rare: Annotated[str | None, typer.Option(help="A label of which there is too little: it is looked for.")] = None,
    split: Annotated[list[str] | None, typer.Option(help="Split to read; twice with leakage.")] = None,
    budget: Annotated[int, typer.Option(help="Rows to label next.", min=0)] = 100,
    queue: Annotated[
        list[str] | None, typer.Option(help="Rows to review of a given label at most, spam=50; may be repeated.")
    ] = None,
    threshold: Annotated[float, typer.Option(help="Where the classifier decides `not benign`.", min=0, max=1)] = 0.5,
    embedder: Annotated[str, typer.Option(help="Registered embedder; `sparring parts` lists them.")] = "minilm",
    plantings: Annotated[int, typer.Option(help="Rounds of canaries for a review's worth; 0 for none.", min=0)] = 1,
    engine: Annotated[str, typer.Option(help="`local`, or `ray`: on a cluster, of RAY_ADDRESS or this machine.")] = "local",
    tasks: Annotated[
        bool, typer.Option("--tasks", help="Write Label Studio tasks of the queues and of what to label.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of folds, draws and canaries.")] = 0,
    round: Round = 0,
    json: Json = False,
) -> None:
    """Find what is mislabelled, hard, missing and there twice in any labelled data set; or what two data sets share.

    Example: sparring mine messages.parquet --labels label --policy policy.yaml --out mined

    Example: sparring mine leakage train.parquet test.parquet
    """
    if source[0].endswith((".yaml", ".yml")):
        _spar(pathlib.Path(source[0]), (round, "mine"))
        return
    from mining.dataset import command, mine
    from mining.dataset.read import Columns
    from sparring.errors import UserError

    if source[0] == "decisions" and len(source) == 3:
        decided = command.decide(pathlib.Path(source[1]), pathlib.Path(source[2]))
        typer.echo("\n".join([f"{len(decided.labels)} new decisions kept in {source[1]}", *decided.notes]))
        return

    def named(option: str, given: list[str] | None, right: str, value: str) -> dict[str, str]:
        if wrong := [g for g in given or () if not re.fullmatch(f"(?s).*={value}", g)]:
            raise UserError(f"{option}: expected {right}, got {wrong[0]!r}")
        return dict(g.rsplit("=", 1) for g in given or ())

    renamed = named("--rename", rename, "OLD=NEW", ".*")
    queues = {label: int(rows) for label, rows in named("--queue", queue, "LABEL=ROWS", r"\d+").items()} or None
    columns = Columns(
        labels, text, image, key, lineage=lineage, attributes=tuple(attribute or ()), annotators=tuple(annotators or ()),
        renamed=renamed,
    )  # fmt: skip
    if source[0] == "leakage" and len(source) == 3:
        if (vectors or scores or "").endswith(".npy"):
            raise UserError("leakage: expected --vectors as a column of both data sets; got a .npy file. Fix: name a column")
        splits, columns = [*(split or []), None, None][:2], replace(columns, vectors=vectors)
        found = command.compare(source[1], source[2], columns, splits=splits, embedder=embedder)
        typer.echo(_json.dumps(found.to_json(), indent=1) if json else "\n".join(found.lines()))
        return
    if len(source) != 1:
        raise UserError(f"expected one data set, or `leakage A B`; got {' '.join(source)}")
    if split and len(split) > 1:
        raise UserError(f"expected one split; got {', '.join(split)}. Fix: `leakage A B` takes two")
    files = {
        name: pathlib.Path(value)
        for name, value in (("vectors", vectors), ("scores", scores))
        if value and value.endswith(".npy")
    }
    columns = replace(
        columns, vectors=None if "vectors" in files else vectors, scores=None if "scores" in files else scores
    )  # fmt: skip
    console = _console(stderr=json)
    mined = command.run(
        source[0], columns, out, policy=policy, split=split[0] if split else None, benign=benign, embedder=embedder,
        settings=mine.Settings(
            budget=budget, queue=queues, rare=rare, threshold=threshold, plantings=plantings, seed=seed
        ),
        tasks=tasks, dynamics=dynamics, target=target, guard=guard, engine=engine,
        told=lambda what: console.print(what, style="dim"), **files,
    )  # fmt: skip
    typer.echo(_json.dumps(mined.result.summary(), indent=1, default=str) if json else "\n".join(command.lines(mined)))


@app.command()
def retrain(job: JobPath, round: Round = 0) -> None:
    """Retrain on everything won so far, and let the gate decide whether the new classifier takes over.

    Example: sparring retrain examples/sms_spam.yaml --round 0
    """
    _spar(job, (round, "retrain"))


@app.command()
def report(job: JobPath) -> None:
    """Finish the run if it is not, and write summary.json and report.html anew.

    Example: sparring report examples/sms_spam.yaml
    """
    _spar(job, None)


@app.command()
def review(
    run: Annotated[pathlib.Path, typer.Argument(help="A run folder.", metavar="RUN")],
    sheet: Annotated[pathlib.Path, typer.Option(help="The sheet to write, or to read back with --read.")] = pathlib.Path(
        "sheet.csv"
    ),
    rows: Annotated[int, typer.Option(help="Rows of a new sheet.", min=1)] = 200,
    read: Annotated[bool, typer.Option("--read", help="Read a filled sheet back.")] = False,
    who: Annotated[str, typer.Option(help="Who filled it; stands beside each label.")] = "",
    json: Json = False,
) -> None:
    """Write a blind sheet for a person to label, and read it back: a person's agreement beside the audit judge's.

    Example: sparring review runs/sms_spam --sheet sheet.csv
    """
    from sparring import review

    if not read:
        written = review.write_sheet(run, sheet, rows=rows)
        typer.echo(f"{written} rows to label in {sheet}; then: sparring review {run} --sheet {sheet} --read --who NAME")
        return
    found = review.read_sheet(run, sheet, who=who).to_json()
    typer.echo(_json.dumps(found, indent=1) if json else "\n".join(f"{key:24} {value}" for key, value in found.items()))


@app.command()
def new(
    job: Annotated[pathlib.Path, typer.Argument(help="The file to write; an existing one is left alone.", metavar="JOB.yaml")],
) -> None:
    """Write a commented job file and a policy beside it, to be changed to your data.

    Example: sparring new my_job.yaml
    """
    from sparring import templates

    for path in templates.write(job):
        typer.echo(f"wrote {path}")


@app.command()
def check(job: JobPath, json: Json = False) -> None:
    """Check everything that can fail before any work: job, policy, data, splits, parts, references.

    Example: sparring check examples/sms_spam.yaml
    """
    from sparring import check, jobs

    found = check.check(jobs.load(job))
    typer.echo(_json.dumps(found, indent=1) if json else "\n".join(f"ok  {key:10} {value}" for key, value in found.items()))


@app.command()
def probe(
    target: Annotated[
        pathlib.Path, typer.Argument(help="A job file, a saved target's folder, or an earlier report.json.", metavar="TARGET")
    ],
    policy: Annotated[pathlib.Path | None, typer.Option(help="The policy; without it the run's own.")] = None,
    cases: Annotated[list[pathlib.Path] | None, typer.Option(help="Test material of yours, YAML; may be repeated.")] = None,
    against: Annotated[pathlib.Path | None, typer.Option(help="An earlier report.json: what got better, what worse.")] = None,
    min_pass: Annotated[float | None, typer.Option(help="Exit 1 when a functionality's share is lower.", min=0, max=1)] = None,
    junit: Annotated[pathlib.Path | None, typer.Option(help="Write JUnit XML here, for CI.")] = None,
    records: Annotated[pathlib.Path | None, typer.Option(help="Write the cases with their texts here, parquet.")] = None,
    kind: Annotated[str | None, typer.Option(help="Kind of a target that stands in no run folder.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many seed texts a clause and file.", min=1)] = None,
    language: Annotated[list[str] | None, typer.Option(help="Frames of this language too; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="Of the spelling variants.", min=0)] = 0,
    json: Json = False,
) -> None:
    """Test a classifier by functionality (negation, quoting, misspelling...), on cases made from its policy; a gate for CI.

    Example: sparring probe runs/sms_spam/target --cases examples/probes/spam.yaml --min-pass 0.8 --junit probe.xml
    """
    from mining.probe import command, show
    from mining.probe import junit as xml

    found = command.probe(
        target, policy_file=policy, cases=cases or (), kind=kind, seed=seed, limit=limit, languages=language or (),
        records=records, against=against,
    )  # fmt: skip
    if junit:
        xml.write(found, junit)
    if json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        _console().print(*show.render(found), sep="\n", highlight=False)
    if min_pass is not None and (low := found.below(min_pass)):
        names = ", ".join(f"{group.name} {group.pass_rate[0]:.2f}" for group in low)
        raise typer.Exit(_fail(f"below --min-pass {min_pass:g}: {names}", 1))


@app.command()
def parts(kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None, json: Json = False) -> None:
    """List what is registered, a line each, with its capability flags.

    Example: sparring parts --kind operator
    """
    from sparring import registry

    found = [registry.about(k, name) for k in sorted(registry.table()) if kind in (None, k) for name in registry.names(k)]
    lines = [
        f"{p['kind']:10}  {p['name']:14}  {p['about']}{' [' + ', '.join(p['flags']) + ']' if p['flags'] else ''}" for p in found
    ]
    typer.echo(_json.dumps(found, indent=1) if json else "\n".join(lines))


@app.command()
def doctor(json: Json = False) -> None:
    """Show versions, devices, and which extras are missing with the command that adds them.

    Example: sparring doctor
    """
    from sparring import doctor

    found = doctor.examine()
    typer.echo(_json.dumps(found, indent=1) if json else doctor.render(found))


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    # No markup: a user's names may hold brackets and colons.
    return Console(width=None if sys.stdout.isatty() else 160, stderr=stderr, markup=False, emoji=False)


def stages(job: Job) -> Stages:
    """The stages that the loop is handed for a job."""
    from mining import stage as mining
    from redteam import stage as redteam
    from sparring.stages import Stages
    from synth import stage as texts
    from synth.images import stage as images

    return Stages(images if job.data.image else texts, redteam, mining)


def _spar(
    path: pathlib.Path, until: tuple[int, str] | None, json: bool = False, *, fresh: bool = False, stderr: bool = False
) -> pathlib.Path:  # fmt: skip
    from sparring import jobs, loop, telemetry
    from sparring.console import Display

    telemetry.start()
    job = jobs.load(path, fresh=fresh)
    console = _console(stderr=json or stderr)
    with Display(console, job.retrainings) as display:
        folder = loop.run(job, stages(job), display.show, until=until)
    if json:
        typer.echo((folder / "summary.json").read_text(encoding="utf-8"))
    elif until is None:
        display.summary(folder)
    return folder


app.add_typer(attacking.app(_spar, _console), name="attack")
app.add_typer(publishing.app(_spar), name="publish")


def main() -> None:
    """Runs the command; a user's mistake ends with one clean line and its exit code, a bug with a traceback."""
    from sparring.errors import SparringError

    # Before torch loads: spinning threads on busy cores are many times slower; bars of other libraries disturb ours.
    quiet = ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")
    for name, value in (("OMP_WAIT_POLICY", "passive"), ("GOMP_SPINCOUNT", "0"), *((name, "1") for name in quiet)):
        os.environ.setdefault(name, value)
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except SparringError as error:
        sys.exit(_fail(str(error), error.exit_code))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(_fail("interrupted; the same command again resumes", 130))
    except OSError as error:
        sys.exit(_fail(f"{error.filename or 'the disk'}: {error.strerror or error}; the same command again resumes", 1))
    except Exception as error:
        usage = getattr(error, "format_message", None)  # a mistake on the command line, as click has it
        if usage is None:
            raise
        sys.exit(_fail(f"{usage()}; see `sparring --help`", 2))


def _fail(message: str, code: int) -> int:
    typer.echo(f"sparring: {message}", err=True)
    return code


if __name__ == "__main__":
    main()
