"""The `sparring` command. Stands here, since `cli` is a name that another distribution might own as well."""

from __future__ import annotations

import importlib.util
import pathlib
import sys


def main() -> None:
    ours = pathlib.Path(__file__).resolve().parent.parent / "cli.py"
    spec = importlib.util.find_spec("cli")
    found = pathlib.Path(spec.origin).resolve() if spec and spec.origin else None
    if found != ours:
        sys.exit(
            _refuse(
                f"expected Sparring's own module `cli` at {ours}, found {found or 'none'}. "
                "Another distribution installs a module of that name. Fix: give Sparring an environment of its own"
            )
        )
    importlib.import_module("cli").main()


def _refuse(message: str) -> int:
    print(f"sparring: {message}", file=sys.stderr)  # noqa: T201 - before cli, which prints everything else
    return 2


if __name__ == "__main__":
    main()
