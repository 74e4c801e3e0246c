"""What the tests of this folder share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.client import ControlClient
from tests import emulator
from tests.functions.harness import OLD, OLD_PYTHON
from tests.integration.conftest import host_storage
from tests.security.served import Served, serving

__all__ = ["host_storage", "served", "served_alone"]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app over real HTTP, over the default estate."""
    ControlClient(os.environ["SIMULATOR_URL"]).reset()
    yield from _served(tmp_path_factory.mktemp("served"))


@pytest.fixture
def served_alone(simulator: ControlClient, tmp_path: Path) -> Iterator[Served]:
    """An app for one test, whose messages meet no other test."""
    assert simulator
    yield from _served(tmp_path)


def _served(folder: Path) -> Iterator[Served]:
    if OLD_PYTHON:
        pytest.skip(OLD)
    if not emulator.installed():
        pytest.skip("Azurite is not installed")
    with serving(folder, ROTATION_PROBE_TIMEOUT="PT1S") as app:
        yield app
