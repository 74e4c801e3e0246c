"""The command line over the simulator's default estate."""

import pytest

from simulator.client import ControlClient
from tests.surface.cli.command import Command
from tests.surface.cli.command import command as make_command


@pytest.fixture
def command(simulator: ControlClient, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs one command in this process."""
    return make_command(simulator, capsys)
