"""`sparring publish`: the sub-app that cli.py puts under its own. Parses, makes one library call, renders."""

from __future__ import annotations

import json as _json
import pathlib
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from ..commands import Json, OrJob

Spar = Callable[[pathlib.Path, tuple[int, str]], pathlib.Path]  # runs a job up to a round's stage; returns the run folder
Repo = Annotated[str | None, typer.Option("--repo", help="The repository on the hub, ORG/NAME.")]


def app(spar: Spar) -> typer.Typer:
    """The sub-app; `spar` is handed in, since this package imports no stage."""
    made = typer.Typer(cls=OrJob, no_args_is_help=True, rich_markup_mode=None, help=_ABOUT)

    @made.command()
    def job(
        source: Annotated[pathlib.Path, typer.Argument(help="A job file, or a dataset folder.", metavar="JOB.yaml|FOLDER")],
        round: Annotated[int | None, typer.Option("--round", help="The round's dataset; without it the last one's.")] = None,
        push: Annotated[str | None, typer.Option("--push", help="Push to this Hugging Face dataset, ORG/NAME.")] = None,
        public: Annotated[bool, typer.Option("--public", help="Make it public, gated; it is private otherwise.")] = False,
        confirm: Annotated[str | None, typer.Option("--confirm", help="With --public: the repository's name again.")] = None,
        leave_out: Annotated[bool, typer.Option("--leave-out", help="Leave out rows that hold secrets.")] = False,
        accept: Annotated[
            list[str] | None, typer.Option("--accept-terms", help="A licence whose terms for mixing don't bind you.")
        ] = None,
        policy: Annotated[
            pathlib.Path | None, typer.Option(help="For a folder: the policy that says what to scan for.")
        ] = None,
        branch: Annotated[str | None, typer.Option(help="The branch to push to; main unless given.")] = None,
        json: Json = False,
    ) -> None:
        """Write the dataset of a round to disk, and append it to a repository in one commit if asked to.

        Example: sparring publish examples/sms_spam.yaml --push my-org/sms-spam-hard
        """
        folder, rules = _folder(source, round, policy, spar)
        told: dict[str, Any] = {"dataset": str(folder)}
        if push:
            from .push import Options
            from .push import push as pushed

            if public and confirm is None and interactive():
                confirm = typer.prompt(f"Everybody will see that {push} exists. Type its name to make it public")
            options = Options(policy=rules, leave_out=leave_out, accept=tuple(accept or ()))
            done = pushed(folder, push, private=not public, confirmed=confirm, revision=branch, options=options)
            told |= {"pushed": done.url, "version": done.version, "tags": list(done.tags), "commit": done.commit}
            told |= {"changed": dict(done.counts)}
        typer.echo(_json.dumps(told, indent=1) if json else "\n".join(_lines(told)))

    @made.command()
    def diff(
        a: Annotated[str, typer.Argument(help="A folder, ORG/NAME@REVISION, or with --repo a tag or branch.", metavar="A")],
        b: Annotated[str, typer.Argument(help="The same, of the later one.", metavar="B")],
        repo: Repo = None,
        ids: Annotated[bool, typer.Option("--ids", help="List the ids as well.")] = False,
        json: Json = False,
    ) -> None:
        """What changed between two versions of a dataset, in rows and labels.

        Example: sparring publish diff v2 v3 --repo my-org/sms-spam-hard
        """
        from . import diff as differ

        found = differ.between(a, b, repo=repo)
        typer.echo(_json.dumps(found.to_json(), indent=1, ensure_ascii=False) if json else "\n".join(found.lines(ids=ids)))

    @made.command()
    def erase(
        ids: Annotated[list[str], typer.Argument(help="Ids of rows.", metavar="ID...")],
        repo: Repo = None,
        folder: Annotated[pathlib.Path | None, typer.Option(help="A dataset folder, instead of a repository.")] = None,
        why: Annotated[str, typer.Option(help="The reason that the tombstones give.")] = "asked for",
        branch: Annotated[str | None, typer.Option(help="The branch; main unless given.")] = None,
        json: Json = False,
    ) -> None:
        """Take rows, and every row made from them, out of a dataset for good; and say where earlier versions still hold them.

        Example: sparring publish erase sms.csv#4711 --repo my-org/sms-spam-hard --why "asked for by its author"
        """
        from . import erase as eraser

        found = eraser.erase(ids, repo_id=repo, folder=folder, why=why, revision=branch)
        typer.echo(_json.dumps(found.to_json(), indent=1, ensure_ascii=False) if json else "\n".join(found.lines()))

    return made


_ABOUT = """Write the dataset of a round and append it to a repository on the Hugging Face hub; compare versions; erase rows.

Example: sparring publish examples/sms_spam.yaml --push my-org/sms-spam-hard"""


def interactive() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def _folder(source: pathlib.Path, round: int | None, policy: pathlib.Path | None, spar: Spar) -> tuple[pathlib.Path, Any]:
    """The dataset's folder, written if need be, and the policy that its scan goes by."""
    from .. import jobs
    from .. import policy as policies
    from .write import folder

    if source.is_dir():
        run = source.resolve().parent.parent / "policy.yaml"  # beside the rounds of a run
        path = policy or (run if run.is_file() else None)
        return source, policies.load(path) if path else None
    settings = jobs.load(source)
    number = settings.retrainings if round is None else round
    return folder(spar(source, (number, "publish")), number), policies.load(policy or settings.base / settings.policy)


def _lines(told: dict[str, Any]) -> list[str]:
    def shown(value: Any) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{key} {n}" for key, n in value.items()) or "nothing"
        return ", ".join(value) if isinstance(value, list) else str(value)

    return [f"{key:8} {shown(value)}" for key, value in told.items()]
