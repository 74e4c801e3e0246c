"""What the tests of this folder share."""

import os
from collections.abc import Iterator

import pytest

from simulator.client import ControlClient
from tests import emulator
from tests.functions.harness import OLD, OLD_PYTHON
from tests.integration.conftest import host_storage
from tests.security.served import Served, serving

__all__ = ["host_storage", "served"]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app over real HTTP, over the default estate."""
    if OLD_PYTHON:
        pytest.skip(OLD)
    if not emulator.installed():
        pytest.skip("Azurite is not installed")
    ControlClient(os.environ["SIMULATOR_URL"]).reset()
    with serving(tmp_path_factory.mktemp("served"), ROTATION_PROBE_TIMEOUT="PT1S") as app:
        yield app
