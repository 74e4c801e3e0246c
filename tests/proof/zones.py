"""Time zones of one's own making, in the notation of POSIX, so that their clocks change when a test wants it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

EUROPE = "CET-1CEST,J86,J303/3"
"""Where summer time begins on March 27 and ends on October 30, every year."""
HOUR, HALF_A_YEAR = timedelta(hours=1), timedelta(days=180)


def set_forward(at: datetime) -> str:
    """A zone whose clocks show an hour more from `at` on, in UTC."""
    return f"STD0DST,{_rule(at)},{_rule(at + HALF_A_YEAR)}"


def set_back(at: datetime) -> str:
    """A zone in which the hour after `at`, in UTC, is the one before once more."""
    # The end of summer time is told in summer time.
    return f"STD0DST,{_rule(at - HALF_A_YEAR)},{_rule(at + HOUR)}"


@contextmanager
def zone(name: str) -> Iterator[None]:
    """Let this process live in a zone."""
    before = os.environ.get("TZ")
    _move(name)
    try:
        yield
    finally:
        _move(before)


def shown(at: datetime) -> str:
    """What a clock on the wall of this process shows."""
    return time.strftime("%H:%M", time.localtime(at.timestamp()))


def _rule(at: datetime) -> str:
    """The day of the year, counted from zero and with a leap day, and the time."""
    return f"{at.timetuple().tm_yday - 1}/{at:%H:%M:%S}"


def _move(name: str | None) -> None:
    if name is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = name
    time.tzset()
