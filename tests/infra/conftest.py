"""What the app logs, as Application Insights has it."""

import logging
from collections.abc import Callable
from datetime import datetime

import pytest

from rotation import telemetry
from tests.infra.kusto import Row
from tests.unit.facts import NOW

SEVERITIES = {logging.INFO: 1, logging.WARNING: 2, logging.ERROR: 3}
"""Of Application Insights, by the levels of the worker."""


@pytest.fixture
def rows(caplog: pytest.LogCaptureFixture) -> Callable[..., list[Row]]:
    """Rows of Application Insights for what was logged since the last time, as of a time."""
    telemetry.configure()

    def take(at: datetime = NOW) -> list[Row]:
        found = [
            {"timestamp": at, "severityLevel": SEVERITIES[record.levelno], "message": record.getMessage()}
            for record in caplog.records
        ]
        caplog.clear()
        return found

    return take
