"""One reading of a cron line for every scheduler; the weekdays are the trap."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.cron import CronTrigger
from hypothesis import given, settings
from hypothesis import strategies as st

from sparring import crontime
from sparring.errors import UserError


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("0 3 * * *", "*-*-* 03:00:00"),
        ("*/20 * * * *", "*-*-* *:00,20,40:00"),
        ("5 4 * * sun", "Sun *-*-* 04:05:00"),
        ("5 4 * * 0", "Sun *-*-* 04:05:00"),
        ("5 4 * * 7", "Sun *-*-* 04:05:00"),
        ("0 0 1,15 jan-mar *", "*-01,02,03-01,15 00:00:00"),
        ("0 22 * * 1-5", "Mon,Tue,Wed,Thu,Fri *-*-* 22:00:00"),
        ("50/5 * * * *", "*-*-* *:50,55:00"),
    ],
)
def test_a_line_as_a_calendar_event_of_systemd(line, event):
    assert crontime.read(line).systemd == event


@pytest.mark.parametrize(
    "line", ["", "0 3 * *", "60 * * * *", "* 24 * * *", "0 0 0 * *", "0 0 * 13 *", "0 0 * * 8", "a * * * *", "5-1 * * * *",
             "*/0 * * * *", "1,,2 * * * *", "0 0 1 * 1", "@daily"],
)  # fmt: skip
def test_what_is_no_time_is_refused(line):
    with pytest.raises(UserError, match="expected"):
        crontime.read(line)


FIELD = st.sampled_from(["*", "*/7", "5", "1-3", "2,4", "1-6/2"])


@settings(max_examples=30)
@given(minute=FIELD, hour=FIELD, day=FIELD, month=FIELD, weekday=st.sampled_from(["*", "0", "1-5", "6,7", "mon", "*/2"]))
def test_apscheduler_fires_when_the_fields_say(minute, hour, day, month, weekday):
    if day != "*" and weekday != "*":
        day = "*"
    when = crontime.read(f"{minute} {hour} {day} {month} {weekday}")
    trigger, now = CronTrigger(**when.apscheduler, timezone=UTC), datetime(2026, 2, 26, 23, 58, tzinfo=UTC)
    found = trigger.get_next_fire_time(None, now)

    def fits(t: datetime) -> bool:
        said = (when.minute, t.minute), (when.hour, t.hour), (when.day, t.day), (when.month, t.month)
        return all(n is None or v in n for n, v in (*said, (when.weekday, t.isoweekday() % 7)))

    assert fits(found)
    at = now
    while at < min(found, now + timedelta(days=3)):
        assert not fits(at), "none was passed over"
        at += timedelta(minutes=1)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="NOT TESTED here: systemd-analyze is not installed")
def test_systemd_means_the_same_times():
    for line in ("0 3 * * *", "*/20 * * * *", "5 4 * * 0", "0 0 1,15 jan-mar *", "0 22 * * 1-5", "30 6 * * */2"):
        when = crontime.read(line)
        words = ["systemd-analyze", "calendar", "--iterations=5", "--base-time=2026-02-26 23:58:00 UTC", when.systemd]
        found = subprocess.run(words, capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"})
        times = [x.split(": ", 1)[1].strip() for x in found.stdout.splitlines() if "Next elapse" in x or "Iter. #" in x]
        theirs = [datetime.strptime(t, "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC) for t in times]
        trigger, at = CronTrigger(**when.apscheduler, timezone=UTC), datetime(2026, 2, 26, 23, 58, tzinfo=UTC)
        ours = []
        for _ in theirs:
            ours.append(trigger.get_next_fire_time(None, at + timedelta(seconds=1)))
            at = ours[-1]
        assert len(theirs) == 5
        assert ours == theirs, line
