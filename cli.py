"""The `sparring` command: parses, builds a config, makes one library call, renders."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
JobPath = Annotated[pathlib.Path, typer.Argument(help="The job file, YAML.", metavar="JOB.yaml")]


@app.callback()
def _about() -> None:
    """A sparring partner for content-moderation classifiers: attacks a classifier, mines what it misses, publishes it as a
    dataset, retrains, measures whether that helped, and spars again."""


@app.command()
def run(job: JobPath) -> None:
    """Spar: every round of the job, then summary.json, the report and the dataset. A rerun resumes.

    Example: sparring run examples/sms_spam.yaml
    """
    from mining import stage as mining
    from redteam import stage as redteam
    from sparring import jobs, loop
    from sparring.console import Display
    from sparring.stages import Stages
    from synth import stage as synth

    settings = jobs.load(job)
    with Display(_console(), settings.rounds) as display:
        folder = loop.run(settings, Stages(synth, redteam, mining), display.show)
    display.summary(folder)


@app.command()
def parts(kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None) -> None:
    """List what is registered: operators, attacks, judges, targets, embedders.

    Example: sparring parts --kind operator
    """
    from sparring import registry

    for found in sorted(registry.table()):
        if kind in (None, found):
            for name in registry.names(found):
                doc = (registry.find(found, name).__doc__ or "").strip().partition("\n")[0]
                typer.echo(f"{found:10} {name:14} {doc}")


def main() -> None:
    """Runs the command; a user's mistake ends with one clean line and its exit code, a bug with a traceback."""
    from sparring.errors import SparringError

    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch loads: spinning threads are many times slower
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    try:
        app(standalone_mode=False)
    except SparringError as error:
        sys.exit(_fail(str(error), error.exit_code))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(_fail("interrupted; run the same command again to resume", 130))
    except OSError as error:
        sys.exit(_fail(f"{error.strerror or error}: {error.filename or ''}. Run the same command again to resume", 1))


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def _fail(message: str, code: int) -> int:
    typer.echo(f"sparring: {message}", err=True)
    return code


if __name__ == "__main__":
    main()
