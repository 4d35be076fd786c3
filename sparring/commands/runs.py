"""`sparring runs`: lists, shows, compares and removes run folders."""

from __future__ import annotations

import json as _json
import pathlib
from dataclasses import asdict
from typing import Annotated

import typer

from . import Json

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Folder = Annotated[pathlib.Path, typer.Option("--runs", help="The folder of run folders.")]
Run = Annotated[pathlib.Path, typer.Argument(help="A run folder.", metavar="RUN")]


@app.callback()
def _about() -> None:
    """List run folders, show one, compare two, remove old ones.

    Example: sparring runs list
    """


@app.command("list")
def list_(runs: Folder = pathlib.Path("runs"), json: Json = False) -> None:
    """Every run with its state and its last figures.

    Example: sparring runs list --runs runs
    """
    from sparring.runs import listed

    found = [asdict(run) for run in listed(runs)]
    names = ("name", "status", "rounds", "rows", "valid_asr", "f1", "queries", "seconds", "detail")
    lines = [[_shown(run[name]) for name in names] for run in found]
    widths = [max(map(len, column)) for column in zip(names, *lines, strict=True)]
    shown = [
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in [names, *lines]
    ]
    typer.echo(_json.dumps(found, indent=1) if json else "\n".join(shown))


@app.command()
def show(run: Run, json: Json = False) -> None:
    """One run: its state, how often it was started, what was repaired, what it cost.

    Example: sparring runs show runs/sms_spam
    """
    from sparring.runs import shown

    found = shown(run)
    typer.echo(_json.dumps(found, indent=1) if json else _lines(found))


@app.command()
def diff(
    one: Annotated[pathlib.Path, typer.Argument(metavar="RUN")],
    other: Annotated[pathlib.Path, typer.Argument(metavar="RUN")],
    json: Json = False,
) -> None:
    """What changed from one run to another: settings, figures, rows.

    Example: sparring runs diff runs/nightly-0001 runs/nightly-0002
    """
    from sparring.runs import differences

    found = differences(one, other)
    typer.echo(_json.dumps(found, indent=1) if json else _lines(found))


@app.command()
def prune(
    runs: Folder = pathlib.Path("runs"),
    keep: Annotated[int, typer.Option(help="Finished runs of a series to keep, the newest.", min=1)] = 10,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it they are only named.")] = False,
) -> None:
    """Remove old finished runs, but the newest of each series; one at work or unfinished stays.

    Example: sparring runs prune --keep 30 --yes
    """
    from sparring.runs import prune

    names = prune(runs, keep=keep, sure=yes)
    said = "removed" if yes else "would remove (--yes does)"
    typer.echo("\n".join(f"{said}  {name}" for name in names) or "nothing to remove")


def _lines(found: dict[str, object], indent: str = "") -> str:
    out = []
    for name, value in found.items():
        if isinstance(value, dict):
            out += [f"{indent}{name}", _lines(value, indent + "  ")] if value else [f"{indent}{name:24} none"]
        else:
            out.append(f"{indent}{name:24} {_shown(value)}")
    return "\n".join(out)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return " -> ".join(_shown(v) for v in value)
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
