"""Durations as they stand in settings and tags."""

from datetime import timedelta

import pytest

from rotation.durations import format_duration, parse_duration

SAME = {
    "P2D": timedelta(days=2),
    "PT15M": timedelta(minutes=15),
    "P1DT12H": timedelta(days=1, hours=12),
    "PT0S": timedelta(0),
    "PT1H1M1S": timedelta(hours=1, minutes=1, seconds=1),
    "P99999D": timedelta(days=99_999),
}
OTHERS = {
    "P1W": timedelta(weeks=1),
    "P1W1D": timedelta(days=8),
    "PT90M": timedelta(minutes=90),
    "PT99999S": timedelta(seconds=99_999),
    "P0D": timedelta(0),
}
BAD = [
    "",
    "P",
    "PT",
    "P1DT",
    "1D",
    "p2d",
    "P2d",
    "P1M",
    "P1Y",
    "P-1D",
    "-P1D",
    "P1.5D",
    "P1D ",
    " P1D",
    "P1D\n",
    "PT1D",
]
BAD += ["P1H", "P1D2W", "PT1M1H", "P٣D", "P100000D", "P99999DT1S", "P1D1D", "2 days", "P123456D"]


@pytest.mark.parametrize(("text", "duration"), SAME.items())
def test_a_duration_is_read_and_written(text: str, duration: timedelta) -> None:
    """The form that is written is a form that is read."""
    assert parse_duration(text) == duration
    assert format_duration(duration) == text


@pytest.mark.parametrize(("text", "duration"), OTHERS.items())
def test_other_forms_are_read(text: str, duration: timedelta) -> None:
    """Weeks, and numbers above the usual ones, are understood."""
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", BAD)
def test_anything_else_is_refused(text: str) -> None:
    """Months and years have no fixed length; what cannot be written again is not read either."""
    with pytest.raises(ValueError, match=r"is not an ISO 8601 duration|is longer than P99999D"):
        parse_duration(text)


def test_fractions_of_a_second_are_dropped() -> None:
    """Tags hold whole seconds."""
    assert format_duration(timedelta(seconds=1, milliseconds=999)) == "PT1S"
