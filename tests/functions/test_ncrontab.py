"""When `make serve` lets timers fire."""

from datetime import UTC, datetime

import pytest

from tests.functions.ncrontab import Schedule

NOW = datetime(2026, 1, 31, 23, 59, 30, 500, tzinfo=UTC)
"""A Saturday."""


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * * *", "2026-01-31T23:59:31"),
        ("0 */15 * * * *", "2026-02-01T00:00:00"),
        ("0 17 3 * * *", "2026-02-01T03:17:00"),
        ("30,45 59 23 * * *", "2026-01-31T23:59:45"),
        ("0 0 9-17/4 * * mon-fri", "2026-02-02T09:00:00"),
        ("0 30 9 * JAN 1", "2027-01-04T09:30:00"),
        ("0 0 0 29 2 *", "2028-02-29T00:00:00"),
        ("0 0 0 13 * 5", "2026-02-13T00:00:00"),
    ],
)
def test_the_next_time_of_a_schedule(expression: str, expected: str) -> None:
    """All six fields match it, and it is later than now."""
    assert expected == Schedule.parse(expression).after(NOW).strftime("%Y-%m-%dT%H:%M:%S")


@pytest.mark.parametrize("expression", ["*/15 * * * *", "60 * * * * *", "0 0 0 0 * *", "soon", "0 0 x * * *"])
def test_what_is_no_schedule_is_refused(expression: str) -> None:
    """Five fields are those of another cron."""
    with pytest.raises(ValueError, match=r"fields|within|invalid literal"):
        Schedule.parse(expression)
