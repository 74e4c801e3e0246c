"""ISO 8601 durations, as estate files write them."""

import re
from datetime import timedelta

FORM = re.compile(
    r"(?P<sign>-?)P(?=.)(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?"
)


def parse_duration(text: str) -> timedelta:
    """`P90D`, `PT15M`, `-P1DT6H`; years and months have no fixed length and are refused with ValueError."""
    found = FORM.fullmatch(text)
    if not found:
        raise ValueError(f"not an ISO 8601 duration of weeks, days, hours, minutes and seconds: {text}")
    parts = {name: int(value) for name, value in found.groupdict().items() if name != "sign" and value}
    length = timedelta(**parts)
    return -length if found["sign"] else length
