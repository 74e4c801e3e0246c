"""What tests look at: the simulator's judgement and journal, and the app's events."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from simulator.client import ControlClient

PATIENCE = 30.0
LOOK_SECONDS = 0.02


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


def publishes(simulator: ControlClient) -> int:
    """How many versions were written."""
    return sum(change.startswith("PUT ") for change in changes(simulator))


@contextmanager
def always_open(simulator: ControlClient) -> Iterator[None]:
    """Look all the time, from beside what happens inside, whether every published key opens its account."""
    stop, looks, closed = threading.Event(), 0, list[dict[str, Any]]()

    def look() -> None:
        nonlocal looks
        while not stop.wait(LOOK_SECONDS):
            closed.extend(row for row in simulator.verdict() if not row["opens"])
            looks += 1

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        stop.set()
        looking.join()
    assert looks
    assert [] == closed


async def until(true: Callable[[], bool]) -> None:
    """Let everything else go on until a condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110  what it waits for happens in other processes
            await asyncio.sleep(LOOK_SECONDS)


def told(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    """The events of this name that the app logged."""
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "rotation"]
    return [line for line in lines if line["event"] == f"rotation.{name}"]
