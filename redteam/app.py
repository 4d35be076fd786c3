"""`sparring attack`: the sub-app that cli.py puts under its own. Each command parses, makes one library call, renders."""

from __future__ import annotations

import json as _json
import pathlib
from collections.abc import Callable
from typing import Annotated, Any

import typer

from sparring.commands import JobPath, Json, OrJob

Spar = Callable[..., pathlib.Path]  # runs a job up to a round's stage; returns the run folder
Shown = Callable[..., Any]  # a console; with `stderr`, one beside the output
_ABOUT = """Attack a classifier before each release: with a job file, on its held-out rows.

Example: sparring attack examples/sms_spam.yaml --max-valid-asr 0.3

Example: sparring attack train examples/sms_spam.yaml --out policy.json
"""


def app(spar: Spar, shown: Shown) -> typer.Typer:
    """The sub-app; `spar` is handed in, since this package imports no other stage, and so is the console."""
    made = typer.Typer(cls=OrJob, no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=_ABOUT)

    @made.command()
    def job(
        job: JobPath,
        round: Annotated[
            int, typer.Option("--round", help="Of this round's classifier; 0 is before any retraining.", min=0)
        ] = 0,
        max_valid_asr: Annotated[
            float | None, typer.Option(help="Exit 1 when valid attack success is higher, or was not measured.", min=0, max=1)
        ] = None,
        json: Json = False,
    ) -> None:
        """Attack the round's classifier on held-out rows and measure it. What comes before is done if it is not yet.

        Example: sparring attack examples/sms_spam.yaml --round 1
        """
        from sparring.console import before_and_after

        folder = spar(job, (round, "attack"), stderr=json)
        found = _json.loads((folder / f"round-{round:02d}" / "figures.json").read_text(encoding="utf-8"))
        if json:
            typer.echo(_json.dumps(found, indent=1))
        else:
            shown().print(before_and_after({"name": folder.name, "rounds": [found]}), highlight=False)
        if max_valid_asr is not None:
            valid = found["valid_asr_fresh"]
            if valid is None or valid[0] > max_valid_asr:
                said = "not measured" if valid is None else f"{valid[0]:.3f}"
                typer.echo(f"error: valid attack success {said}; --max-valid-asr {max_valid_asr:g}", err=True)
                raise typer.Exit(1)

    made.command()(train(shown))
    return made


def train(shown: Shown) -> Callable[..., None]:
    """The command that trains an attacker."""

    def train(
        job: JobPath,
        what: Annotated[
            str, typer.Option(help="`operators` (a policy over operator chains) or `llm` (LoRA by GRPO).")
        ] = "operators",
        out: Annotated[
            pathlib.Path | None, typer.Option(help="Where to: policy.json, or the folder adapter, unless given.")
        ] = None,
        model: Annotated[str | None, typer.Option(help="The language model; without it that of the job's `synth`.")] = None,
        queries: Annotated[int | None, typer.Option(help="Scores of the target that this may cost, at most.", min=1)] = None,
        json: Json = False,
    ) -> None:
        """Train an attacker against the job's classifier, on training rows, for `strategy: {kind: learned, policy: FILE}`.

        Example: sparring attack train examples/sms_spam.yaml --out policy.json
        """
        from sparring.console import Display

        from .learning import command

        with Display(shown(stderr=json), 0) as display:
            made = command.train(job, what, display.show, out=out, model=model, queries=queries)
        found = {"path": str(made.path), **made.figures}
        typer.echo(_json.dumps(found, indent=1) if json else "\n".join(f"{key:24} {value}" for key, value in found.items()))

    return train
