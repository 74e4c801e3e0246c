"""How much of the proof is run, and how much that was."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from simulator.client import ControlClient

if TYPE_CHECKING:
    from tests.proof.trial import Stage

_TALLY = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the whole proof; pytest knows the option where tests/proof is named on its command line."""
    parser.addoption("--full", action="store_true", help="try every point, and not only a selection that covers all")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how many points were tried."""
    if tally := config.stash.get(_TALLY, None):
        terminalreporter.section("proof")
        terminalreporter.write_line(", ".join(f"{number:,} {what}" for what, number in sorted(tally.items())))


@pytest.fixture
def stage(simulator: ControlClient, azurite: str) -> Iterator["Stage"]:
    """Where stories are told."""
    from tests.proof.trial import stage as opened  # noqa: PLC0415  it imports aiohttp, which is not to come too early

    with opened(simulator, azurite) as found:
        yield found


@pytest.fixture(scope="session")
def full(pytestconfig: pytest.Config) -> bool:
    """Whether the whole proof is asked for."""
    return bool(pytestconfig.getoption("--full", default=False))


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Counter[str]:
    """The numbers of points that were tried, by kind."""
    return pytestconfig.stash.setdefault(_TALLY, Counter())
