"""The simulator that every test of an adapter talks to, and the storage emulator for leases."""

import os
import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from simulator.client import ControlClient
from simulator.running import Running
from simulator.running import simulator as running_simulator
from tests import emulator, heard
from tests.collector import Collector, collector

OURS = ("ROTATION_", "AZURE_", "AzureWebJobsStorage", "IDENTITY_", "MSI_", "OTEL_")
"""How variables begin that would lead tests to a real Azure, or to somebody's collector."""

_RUNNING = pytest.StashKey[Running]()
_KEYS = pytest.StashKey[Path]()
_PRINTED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Start the simulator before any test module imports aiohttp, which reads the trusted certificates then."""
    # A shell starts what it puts in the background with interrupts ignored, and tests send interrupts to themselves.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # azure-batch signs with datetime.utcnow(), which newer Pythons warn of.
    config.addinivalue_line("filterwarnings", "ignore:datetime.datetime.utcnow:DeprecationWarning:azure.batch")
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]
    heard.listen()
    config.stash[_PRINTED] = []
    config.pluginmanager.register(_Listener(config.stash[_PRINTED]))
    held = ExitStack()
    config.add_cleanup(held.close)
    # Not among the files of the tests, which are searched for keys.
    config.stash[_KEYS] = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="keys-"))) / "keys"
    os.environ["SIMULATOR_KEYS_FILE"] = str(config.stash[_KEYS])
    config.stash[_RUNNING] = held.enter_context(running_simulator())
    os.environ.update(config.stash[_RUNNING].env)


class _Listener:
    """Keeps what every test prints, logs, raises and is warned of."""

    def __init__(self, printed: list[str]) -> None:
        self._printed = printed

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down one phase of one test."""
        self._printed += [text for _, text in report.sections]
        self._printed.append(report.longreprtext)

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """Take down a warning."""
        self._printed.append(str(warning_message.message))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the test that searches all output come last."""
    items.sort(key=lambda item: "printed" in item.fixturenames)  # type: ignore[attr-defined]  # every function has it


@pytest.fixture
def printed(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Everything that tests printed, logged and raised, heard from other programs, were answered, or wrote to files."""
    texts: list[str] = pytestconfig.stash[_PRINTED]
    folder = tmp_path_factory.getbasetemp()

    def everything() -> str:
        files = (path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())
        return "\n".join((*texts, *heard.HEARD, *files))

    return everything


@pytest.fixture
def simulator(pytestconfig: pytest.Config) -> ControlClient:
    """The simulator with the default estate and no faults; `reset` gives it another estate."""
    control = pytestconfig.stash[_RUNNING].control
    control.reset()
    return control


@pytest.fixture
def keys(pytestconfig: pytest.Config) -> Callable[[], list[str]]:
    """Every key that this simulator ever made, and every other one that a test or a program has started and stopped."""
    file = pytestconfig.stash[_KEYS]
    control = pytestconfig.stash[_RUNNING].control

    def every() -> list[str]:
        return [*control.keys(), *(file.read_text().splitlines() if file.exists() else ())]

    return every


@pytest.fixture
def traces() -> Iterator[Collector]:
    """A collector of traces."""
    with collector() as collecting:
        yield collecting


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """The connection string of an empty storage emulator."""
    if not emulator.installed():
        pytest.skip("Azurite is not installed: `make setup` installs it where there is Node.js")
    with emulator.azurite() as connection_string:
        yield connection_string
