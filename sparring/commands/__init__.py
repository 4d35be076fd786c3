"""Sub-apps of the `sparring` command, each thin: cli.py adds them. Here stands what they share."""

from __future__ import annotations

import pathlib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

JobPath = Annotated[pathlib.Path, typer.Argument(help="The job file, YAML.", metavar="JOB.yaml")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


class OrJob(TyperGroup):
    """A group whose commands stand beside a job file: what is no command's name goes to `job`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (args[0] in self.commands or args[0] in ("--help", "-h"))
        return super().parse_args(ctx, args if named or not args else ["job", *args])
