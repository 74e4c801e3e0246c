"""A simulator in its own process, reset before each test, in whose environment the test runs."""

from collections.abc import Iterator

import pytest

from simulator.client import ControlClient
from simulator.running import Running, simulator


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    """One process for all of these tests."""
    with simulator() as started:
        yield started


@pytest.fixture
def azure(running: Running, monkeypatch: pytest.MonkeyPatch) -> ControlClient:
    """The default estate, untouched, found by every client that reads the environment."""
    for name, value in running.env.items():
        monkeypatch.setenv(name, value)
    running.control.reset()
    return running.control
