"""The app in the real worker library, over the simulator and the storage emulator."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from simulator.client import ControlClient
from tests.functions.estate import SETTINGS, estate
from tests.functions.harness import OLD, OLD_PYTHON, App, load
from tests.functions.host import Listener, Queues, Rules, queues

ROOT = Path(__file__).parents[2]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def loaded() -> AsyncIterator[App]:
    """The app of this repository, indexed; its clients live on the loop of the session."""
    if OLD_PYTHON:
        pytest.skip(OLD)
    app = await load(ROOT)
    yield app
    await app.close()


@pytest.fixture
def settings(azurite: str) -> Iterator[None]:
    """The app settings; the app reads them when it is first needed, and every test here has the same."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        patch.setenv("ROTATION_PROBE_TIMEOUT", "PT1S")
        patch.setenv("AzureWebJobsStorage", azurite)
        yield


@pytest.fixture
def app(loaded: App, settings: None, simulator: ControlClient) -> App:
    """The app with its settings, over one storage account that is due."""
    del settings
    simulator.reset(estate())
    return loaded


@pytest_asyncio.fixture(loop_scope="session")
async def work(azurite: str) -> AsyncIterator[Queues]:
    """Its queues, empty."""
    async with queues(azurite) as found:
        await found.clear()
        yield found


@pytest.fixture
def listener(app: App, work: Queues) -> Listener:
    """The host's listener; what failed is tried again at once."""
    return Listener(app, work, replace(Rules.of(ROOT), wait=0))
