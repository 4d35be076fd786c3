"""Jobs at times of their own: `sparring run JOB.yaml` in a process of its own, whose exit code is all that is asked of it.

APScheduler keeps the times in a SQLite file, so that they survive a restart: runs that were missed meanwhile are made up for
by one. A job never runs beside itself (one instance here, and the run's lease for whoever else starts it). A run that fails
is tried again with a back-off; one whose input is wrong is not.
"""

from __future__ import annotations

import contextlib
import fcntl
import pathlib
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from . import crontime, jobs
from .errors import MissingExtra, RunHeld, UserError

STORE = pathlib.Path("runs/schedule.db")
WRONG = 2  # the exit code of a wrong input, which no retry mends
COMMAND = (sys.executable, "-m", "sparring", "run")
LOOK = 5.0  # seconds, after which a running scheduler sees what another process added
OUTCOMES = """create table if not exists outcomes (
    id integer primary key, job text, began text, ended text, code integer, tries integer)"""

_stopping = threading.Event()
_children: set[subprocess.Popen[bytes]] = set()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run that was due went; `code` is the command's exit code (negative: the signal that ended it), None while it
    works or when the scheduler itself was ended."""

    job: str
    began: str
    ended: str | None
    code: int | None
    tries: int


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    path: str
    cron: str
    next_run: str | None
    last: Outcome | None


def add(
    path: pathlib.Path, cron: str, *, store: pathlib.Path = STORE, retries: int = 3, backoff: float = 60.0,
    timezone: str | None = None,
) -> Entry:  # fmt: skip
    """Puts a job file on the schedule, or gives it another time; it is named by the job's `name`. `backoff` in seconds, doubled
    after each failure. Raises `UserError` for a job or a time that can't be read."""
    job, when = jobs.load(path), crontime.read(cron)
    settings: dict[str, Any] = {
        "name": jobs.stem(job),
        "path": str(path.resolve()),
        "folder": str(pathlib.Path.cwd()),
        "store": str(store.resolve()),
    }
    settings |= {"retries": retries, "backoff": backoff, "cron": cron}
    scheduler = _scheduler(store)
    trigger = _trigger(when, timezone)
    scheduler.start(paused=True)
    try:
        scheduler.add_job(
            "sparring.schedule:fire", trigger, id=jobs.stem(job), kwargs=settings, replace_existing=True,
            coalesce=True, max_instances=1, misfire_grace_time=None,
        )  # fmt: skip
    finally:
        scheduler.shutdown()
    return next(entry for entry in listed(store) if entry.name == jobs.stem(job))


def listed(store: pathlib.Path = STORE) -> list[Entry]:
    """What is on the schedule, with how its last run went."""
    if not store.exists():
        return []
    scheduler = _scheduler(store)
    scheduler.start(paused=True)
    try:
        found = scheduler.get_jobs("default")
    finally:
        scheduler.shutdown()
    last = {outcome.job: outcome for outcome in outcomes(store)}
    return [
        Entry(
            j.id, j.kwargs["path"], j.kwargs["cron"],
            j.next_run_time.isoformat(timespec="seconds") if j.next_run_time else None,
            last.get(j.id),
        )
        for j in found
    ]  # fmt: skip


def remove(name: str, *, store: pathlib.Path = STORE) -> None:
    if name not in (known := [entry.name for entry in listed(store)]):
        raise UserError(f"expected a job of the schedule ({', '.join(known) or 'it is empty'}), got {name!r}")
    scheduler = _scheduler(store)
    scheduler.start(paused=True)
    try:
        scheduler.remove_job(name)
    finally:
        scheduler.shutdown()


def start(store: pathlib.Path = STORE) -> None:
    """Runs what is due until it is interrupted. Raises `RunHeld` where another scheduler works on this store."""
    store.parent.mkdir(parents=True, exist_ok=True)
    with _alone(store):
        _stopping.clear()
        _take_up(store)
        scheduler = _scheduler(store, blocking=True)
        scheduler.add_jobstore("memory", "own")
        scheduler.add_job(scheduler.wakeup, "interval", seconds=LOOK, jobstore="own")  # others add to the store
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            scheduler.start()
        except (KeyboardInterrupt, SystemExit):
            _stopping.set()
            for child in list(_children):
                child.terminate()  # the next start resumes it
            scheduler.shutdown()
        finally:
            signal.signal(signal.SIGTERM, before)


def fire(*, name: str, path: str, folder: str, store: str, retries: int, backoff: float, cron: str) -> int:
    """Runs the command until it succeeds, its input is wrong, or it was tried often enough; returns the last exit code."""
    number = _began(pathlib.Path(store), name)
    code, tries = 1, 0
    while tries <= retries and not _stopping.is_set():
        if tries and _stopping.wait(backoff * 2 ** (tries - 1)):
            break
        tries += 1
        child = subprocess.Popen([*COMMAND, path], cwd=folder, stdin=subprocess.DEVNULL)
        _children.add(child)
        try:
            code = child.wait()
        finally:
            _children.discard(child)
        if code in (0, WRONG):
            break
    if not _stopping.is_set() or code == 0:  # else it is taken up by the next start
        _ended(pathlib.Path(store), number, code, tries)
    return code


def outcomes(store: pathlib.Path) -> list[Outcome]:
    """The oldest first."""
    with _table(store) as table:
        rows = table.execute("select job, began, ended, code, tries from outcomes order by id").fetchall()
    return [Outcome(*row) for row in rows]


def _take_up(store: pathlib.Path) -> None:
    """Before anything runs: what was at work when the last scheduler was ended is due now."""
    with _table(store) as table:
        names = [row[0] for row in table.execute("select distinct job from outcomes where ended is null").fetchall()]
        table.execute("update outcomes set ended = ?, code = null where ended is null", [_now()])
    scheduler = _scheduler(store)
    scheduler.start(paused=True)
    try:
        for name in names:
            if scheduler.get_job(name):
                scheduler.modify_job(name, next_run_time=datetime.now(UTC))
    finally:
        scheduler.shutdown()


def _began(store: pathlib.Path, name: str) -> int:
    with _table(store) as table:
        return int(table.execute("insert into outcomes (job, began, tries) values (?, ?, 0)", [name, _now()]).lastrowid or 0)


def _ended(store: pathlib.Path, number: int, code: int, tries: int) -> None:
    with _table(store) as table:
        table.execute("update outcomes set ended = ?, code = ?, tries = ? where id = ?", [_now(), code, tries, number])


@contextlib.contextmanager
def _table(store: pathlib.Path) -> Iterator[sqlite3.Connection]:
    table = sqlite3.connect(store, timeout=30)
    try:
        with table:
            table.execute(OUTCOMES)
            yield table
    finally:
        table.close()


def _scheduler(store: pathlib.Path, *, blocking: bool = False) -> Any:
    try:
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
        from apscheduler.schedulers.base import BaseScheduler
        from apscheduler.schedulers.blocking import BlockingScheduler
    except ImportError:
        raise MissingExtra("A schedule", "apscheduler with sqlalchemy", "schedule") from None
    store.parent.mkdir(parents=True, exist_ok=True)

    class Still(BaseScheduler):
        """Reads and writes the store and starts nothing: one with a thread takes a due run up as it ends, and loses it."""

        def wakeup(self) -> None:
            pass

        def shutdown(self, wait: bool = True) -> None:
            super().shutdown(wait)

    kind = BlockingScheduler if blocking else Still
    return kind(
        jobstores={"default": SQLAlchemyJobStore(url=f"sqlite:///{store}")},
        executors={"default": ThreadPoolExecutor(8)},
    )


def _trigger(when: crontime.CronTime, timezone: str | None) -> Any:
    from apscheduler.triggers.cron import CronTrigger

    return CronTrigger(**when.apscheduler, timezone=timezone)


@contextlib.contextmanager
def _alone(store: pathlib.Path) -> Iterator[None]:
    with open(store.with_suffix(".lock"), "a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunHeld(f"another scheduler works on {store}; stop it first") from None
        yield


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")
