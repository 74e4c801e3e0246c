"""When a timer fires: NCRONTAB expressions of six fields, of which all must match.

Source: learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import product
from typing import Self

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
NAMES = {name: str(n) for n, name in enumerate(MONTHS, 1)} | {name: str(n) for n, name in enumerate(DAYS)}
RANGES = (range(60), range(60), range(24), range(1, 32), range(1, 13), range(7))
FAR = 366 * 8
"""Days to look ahead: as long as it can be until the next 29th of February."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The values that each field allows, in order."""

    seconds: list[int]
    minutes: list[int]
    hours: list[int]
    days: list[int]
    months: list[int]
    weekdays: list[int]

    @classmethod
    def parse(cls, expression: str) -> Self:
        """Read an expression; raises ValueError."""
        fields = expression.lower().split()
        if len(fields) != len(RANGES):
            raise ValueError(f"{expression!r} has not {len(RANGES)} fields")
        return cls(*(_values(field, allowed) for field, allowed in zip(fields, RANGES, strict=True)))

    def after(self, now: datetime) -> datetime:
        """Return the first time after `now`."""
        times = [time(*parts, tzinfo=now.tzinfo) for parts in product(self.hours, self.minutes, self.seconds)]
        for ahead in range(FAR):
            day = (now + timedelta(days=ahead)).date()
            if day.day in self.days and day.month in self.months and day.isoweekday() % 7 in self.weekdays:
                for moment in times:
                    if (found := datetime.combine(day, moment)) > now:
                        return found
        raise ValueError("the schedule never comes")


def _values(field: str, allowed: range) -> list[int]:
    return sorted({value for part in field.split(",") for value in _part(part, allowed)})


def _part(part: str, allowed: range) -> range:
    """The values of `*`, `5`, `mon`, `1-5` or one of these with a step behind a slash."""
    span, slash, step = part.partition("/")
    first, dash, last = ("", "", "") if span == "*" else span.partition("-")
    start = int(NAMES.get(first, first or allowed[0]))
    end = int(NAMES.get(last, last)) if dash else (start if first and not slash else allowed[-1])
    if start not in allowed or end not in allowed:
        raise ValueError(f"{part!r} is not within {allowed[0]} to {allowed[-1]}")
    return range(start, end + 1, int(step or 1))
