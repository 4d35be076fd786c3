"""`sparring schedule`: adds, lists, removes and runs scheduled jobs, and writes them for other schedulers."""

from __future__ import annotations

import pathlib
from typing import Annotated

import typer

from . import JobPath

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Cron = Annotated[str, typer.Option("--cron", help="Minute, hour, day, month, weekday, as cron has them.")]
Store = Annotated[pathlib.Path, typer.Option("--store", help="The SQLite file of the schedule.")]
DEFAULT = pathlib.Path("runs/schedule.db")


@app.callback()
def _about() -> None:
    """Run jobs at times of their own, or write the file that makes another scheduler do it.

    Example: sparring schedule add nightly.yaml --cron "0 3 * * *"
    """


@app.command()
def add(
    job: JobPath,
    cron: Cron,
    store: Store = DEFAULT,
    retries: Annotated[int, typer.Option(help="Further tries of a run that fails.", min=0)] = 3,
    backoff: Annotated[float, typer.Option(help="Seconds before the first of them; doubled after each.", min=0)] = 60.0,
    timezone: Annotated[str | None, typer.Option(help="As in Europe/Vienna; the machine's own without it.")] = None,
) -> None:
    """Put a job on the schedule, or give it another time.

    Example: sparring schedule add nightly.yaml --cron "0 3 * * *"
    """
    from sparring import schedule

    entry = schedule.add(job, cron, store=store, retries=retries, backoff=backoff, timezone=timezone)
    typer.echo(f"{entry.name}: next at {entry.next_run}, while `sparring schedule start` runs")


@app.command("list")
def list_(store: Store = DEFAULT) -> None:
    """What is scheduled, when it is next, and how it went last.

    Example: sparring schedule list
    """
    from sparring import schedule

    for entry in schedule.listed(store):
        last = entry.last
        said = "never ran" if last is None else f"last {last.began}: " + (
            f"exit code {last.code} after {last.tries} tries" if last.code is not None else
            "at work" if last.ended is None else "cut off"
        )  # fmt: skip
        typer.echo(f"{entry.name}  {entry.cron}  next {entry.next_run}  {said}")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The job's name.", metavar="NAME")],
    store: Store = DEFAULT,
) -> None:
    """Take a job off the schedule; its runs stay.

    Example: sparring schedule remove nightly
    """
    from sparring import schedule

    schedule.remove(name, store=store)
    typer.echo(f"removed  {name}")


@app.command()
def start(store: Store = DEFAULT) -> None:
    """Run what is due, until it is stopped. One run makes up for all that were missed.

    Example: sparring schedule start
    """
    from sparring import schedule

    schedule.start(store)


@app.command()
def export(
    job: JobPath,
    cron: Cron,
    to: Annotated[str, typer.Option("--to", help="cron, systemd, kubernetes or airflow.")],
    image: Annotated[str, typer.Option(help="The container image, for kubernetes.")] = "sparring:latest",
    out: Annotated[pathlib.Path | None, typer.Option(help="A folder to write the files to, instead of printing them.")] = None,
) -> None:
    """Print a ready file around `sparring run JOB.yaml` for another scheduler.

    Example: sparring schedule export nightly.yaml --cron "0 3 * * *" --to systemd --out /etc/systemd/system
    """
    from sparring import scheduled

    files = scheduled.export(job, cron, to=to, image=image)
    for name, text in files.items():
        if out:
            (out / name).write_text(text, encoding="utf-8")
            typer.echo(f"wrote {out / name}")
        else:
            typer.echo((f"# {name}\n" if len(files) > 1 else "") + text)
