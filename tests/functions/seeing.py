"""What tests look at: the simulator's judgement and journal, and the app's events."""

import json
from typing import Any

import pytest

from simulator.client import ControlClient


def slots(simulator: ControlClient) -> list[str]:
    """The slots that are published, after checking that every published key opens its account."""
    rows = simulator.verdict()
    assert [] == [row for row in rows if not row["opens"]]
    return [row["slot"] for row in rows]


def changes(simulator: ControlClient) -> list[str]:
    """The requests that changed something."""
    return [
        f"{entry['method']} {entry['path']}"
        for entry in simulator.journal()
        if entry["method"] in ("PUT", "PATCH") or "/regenerate" in entry["path"].lower()
    ]


def regenerates(simulator: ControlClient) -> int:
    """How many regenerates reached the service."""
    return sum("/regenerate" in change.lower() for change in changes(simulator))


def told(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    """The events of this name that the app logged."""
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "rotation"]
    return [line for line in lines if line["event"] == f"rotation.{name}"]
