"""The five fields of a cron line, read once and said as APScheduler, systemd and Kubernetes mean the same times.

Numbers of weekdays are the trap: 0 is Sunday for cron, Monday for APScheduler; systemd takes names alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import UserError

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_PART = re.compile(r"(\*|\w+(?:-\w+)?)(?:/(\d+))?")


@dataclass(frozen=True, slots=True)
class CronTime:
    """Each field as the sorted numbers that it names, None for all; `line` as it was written."""

    line: str
    minute: tuple[int, ...] | None
    hour: tuple[int, ...] | None
    day: tuple[int, ...] | None
    month: tuple[int, ...] | None
    weekday: tuple[int, ...] | None  # 0 is Sunday

    @property
    def apscheduler(self) -> dict[str, str]:
        """Arguments of its `CronTrigger`."""
        named = {"minute": self.minute, "hour": self.hour, "day": self.day, "month": self.month}
        fields = {name: "*" if numbers is None else ",".join(map(str, numbers)) for name, numbers in named.items()}
        return {**fields, "day_of_week": "*" if self.weekday is None else ",".join(DAYS[d] for d in self.weekday)}

    @property
    def systemd(self) -> str:
        """A calendar event for `OnCalendar`."""

        def said(numbers: tuple[int, ...] | None) -> str:
            return "*" if numbers is None else ",".join(f"{n:02d}" for n in numbers)

        days = "" if self.weekday is None else ",".join(DAYS[d].capitalize() for d in self.weekday) + " "
        return f"{days}*-{said(self.month)}-{said(self.day)} {said(self.hour)}:{said(self.minute)}:00"


def read(line: str) -> CronTime:
    """Raises `UserError`. Both days restricted are refused: cron takes either, everything else here takes both."""
    fields = line.split()
    if len(fields) != len(_FIELDS):
        raise UserError(f"expected five fields, as in '0 3 * * *' (minute hour day month weekday), got {line!r}")
    numbers = [_numbers(field, *about) for field, about in zip(fields, _FIELDS, strict=True)]
    if numbers[4] is not None:
        numbers[4] = tuple(sorted({n % 7 for n in numbers[4]}))
    if numbers[2] is not None and numbers[4] is not None:
        raise UserError(f"expected a day of the month or a weekday, got both in {line!r}. Fix: add the job twice")
    return CronTime(line, *numbers)


def _numbers(field: str, name: str, low: int, high: int) -> tuple[int, ...] | None:
    if field == "*":
        return None
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if not match:
            raise _fault(field, name, low, high)
        span, step = match[1], int(match[2] or 1)
        first, _, last = ("*", "", "") if span == "*" else span.partition("-")
        start = low if span == "*" else _number(first, field, name, low, high)
        end = (min(high, 6) if name == "day of week" else high) if span == "*" or (match[2] and not last) else start
        end = _number(last, field, name, low, high) if last else end
        if not (low <= start <= end <= high and step):
            raise _fault(field, name, low, high)
        found |= set(range(start, end + 1, step))
    return tuple(sorted(found))


def _number(word: str, field: str, name: str, low: int, high: int) -> int:
    names = {"month": (MONTHS, 1), "day of week": (DAYS, 0)}.get(name)
    if names and word.lower() in names[0]:
        return names[0].index(word.lower()) + names[1]
    if not word.isdigit():
        raise _fault(field, name, low, high)
    return int(word)


def _fault(field: str, name: str, low: int, high: int) -> UserError:
    return UserError(f"cron field {name}: expected numbers from {low} to {high}, as in 5, 1-5, */10 or 1,3; got {field!r}")
