"""ISO 8601 durations of fixed length: weeks, days, hours, minutes and seconds; no months or years."""

import re
from datetime import timedelta

LONGEST = timedelta(days=99_999)
SHOWN = 20
"""The longest text that a complaint quotes."""

_DURATION = re.compile(
    r"P(?=.)(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?=.)(?:(?P<hours>\d{1,5})H)?(?:(?P<minutes>\d{1,5})M)?(?:(?P<seconds>\d{1,5})S)?)?",
    re.ASCII,
)


def parse_duration(text: str) -> timedelta:
    """Read a duration such as `P2D`, `PT15M` or `P1DT12H`; anything else is a ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        # Anything may have been pasted here, a key included.
        shown = repr(text) if len(text) <= SHOWN else "what stands there"
        raise ValueError(f"{shown} is not an ISO 8601 duration in weeks, days or shorter, such as P2D or PT15M")
    duration = timedelta(**{unit: int(number) for unit, number in match.groupdict(default="0").items()})
    if duration > LONGEST:
        raise ValueError(f"{text!r} is longer than {format_duration(LONGEST)}")
    return duration


def format_duration(duration: timedelta) -> str:
    """Write a duration the way `parse_duration` reads it; fractions of a second are dropped."""
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    date = f"{duration.days}D" if duration.days else ""
    time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
    if not date and not time:
        return "PT0S"
    return f"P{date}" + (f"T{time}" if time else "")
