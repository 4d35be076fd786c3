"""How a run looks while it works: live bars in a terminal, plain lines on a pipe. Draws on the console it is given."""

from __future__ import annotations

import json
import pathlib
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .context import Event

if TYPE_CHECKING:
    from rich.console import Console

NAMES = {"asr": "ASR", "valid_asr": "valid ASR", "f1": "clean F1"}


class Display:
    """Shows events of a run with `rounds` retrainings. A finished stage stays as one line."""

    def __init__(self, console: Console, rounds: int):
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.console, self.rounds, self._started = console, rounds, time.monotonic()
        self._name = ""
        self._live = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[counts]}", style="dim"),
            console=console, transient=True, disable=not console.is_terminal, speed_estimate_period=3600,
        )  # fmt: skip
        self._whole = self._live.add_task("rounds", total=rounds + 1, counts="")
        self._stage = self._live.add_task("starting", total=None, counts="")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._live.stop()

    def show(self, event: Event) -> None:
        counts = "  ".join(f"{NAMES.get(k, k.replace('_', ' '))} {_number(v)}" for k, v in event.counts.items())
        if event.stage == "round":
            self._live.update(self._whole, completed=event.round + 1)
        else:
            name = f"round {event.round} {event.stage}"
            if name != self._name:
                self._live.reset(self._stage)
                self._name = name
            self._live.update(
                self._stage,
                description=name,
                total=event.total,
                completed=event.done,
                counts=counts,
            )
        if event.done and event.done >= event.total:
            clock = time.strftime("%M:%S", time.gmtime(time.monotonic() - self._started))
            self.console.print(f"{clock}  round {event.round}  {event.stage:<20} {counts}", highlight=False, soft_wrap=True)

    def summary(self, folder: pathlib.Path) -> None:
        """Before and after, and where to look."""
        found = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        self.console.print(before_and_after(found), highlight=False)
        for name, place in (
            ("report", folder / "report.html"),
            ("dataset", found["dataset"]["path"]),
            ("summary", folder / "summary.json"),
        ):
            self.console.print(f"{name:<8} {place}", highlight=False, soft_wrap=True)


def before_and_after(summary: dict[str, Any]) -> Any:
    """A table of each round's held-out figures."""
    from rich.table import Table

    from .advice import STEADY

    table = Table(title=f"{summary['name']}: held-out figures, 95% intervals", title_justify="left")
    for column in (
        "round",
        "raw ASR",
        "valid ASR",
        "frozen ASR",
        "clean F1",
        "FP on perturbed benign",
        "queries a seed",
        "promoted",
    ):
        table.add_column(column, justify="right")
    unsteady = max(entry.get("unsteady") or 0.0 for entry in summary["rounds"])
    if unsteady > STEADY:
        table.caption = f"The target answers differently for the same input, by up to {unsteady:.3f}: figures will not repeat."
    for entry in summary["rounds"]:
        table.add_row(
            str(entry["round"]), _rate(entry["asr_fresh"]), _rate(entry["valid_asr_fresh"]), _rate(entry["asr_frozen"]),
            _rate(entry["clean"]["f1"]), _rate(entry["fpr_benign_perturbed"]["mean"]), str(entry["queries_per_seed"]),
            {True: "yes", False: "no", None: ""}[entry["promoted"]],
        )  # fmt: skip
    return table


def _rate(figure: Any) -> str:
    return f"{figure[0]:.3f} [{figure[1]:.2f}-{figure[2]:.2f}]" if figure else "-"


def _number(value: Any) -> str:
    if isinstance(value, list):
        return _rate(value)
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
