"""Several workers on one account: one that dies in the middle, and two at the same time, under real leases."""

import pytest

from simulator.client import ControlClient
from tests.functions import leases
from tests.functions.estate import estate
from tests.functions.fresh import ROOT, finish, start
from tests.functions.harness import App
from tests.functions.host import Listener, Queues
from tests.seeing import regenerates, slots

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def published_three_times(app: App, simulator: ControlClient) -> None:
    """One storage account that is due, in three secrets of two vaults."""
    del app
    simulator.reset(estate(publications=3))


@pytest.mark.parametrize("written", [0, 1, 2])
async def test_the_message_of_a_worker_that_died_is_finished_by_another(  # noqa: PLR0913, PLR0917  fixtures
    app: App, simulator: ControlClient, work: Queues, listener: Listener, azurite: str, written: int
) -> None:
    """It died after the regenerate, before each of three writes; nobody was without a key that works."""
    (message,) = (await app.timer("sweep")).messages
    await work.put([message])
    stall = simulator.fault(method="PUT", path="/secrets/", skip=written, stall=True)
    worker = start(ROOT, ["message", "rotate_account", message])
    assert simulator.hits(stall, wait=PATIENCE)
    worker.kill()
    worker.communicate()
    simulator.lift()
    slots(simulator)
    leases.break_off(azurite)  # as time does within a minute
    attempts = await listener.drain()

    assert [None] == [attempt.error for attempt in attempts]
    assert ["key2"] * 3 == slots(simulator)
    assert [] == await work.poisoned()


async def test_of_two_workers_on_one_account_the_second_waits(
    app: App, simulator: ControlClient, work: Queues, listener: Listener
) -> None:
    """While the first is in the middle of its pass the second fails as busy; later it finds nothing to do."""
    (message,) = (await app.timer("sweep")).messages
    await work.put([message])
    stall = simulator.fault(method="PUT", path="/secrets/", stall=True, times=1)
    worker = start(ROOT, ["message", "rotate_account", message])
    assert simulator.hits(stall, wait=PATIENCE)
    (busy,) = await listener.once()
    simulator.lift()
    told, _ = finish(worker)
    (again,) = await listener.drain()

    assert [None] == [result["error"] for result in told["results"]]
    assert [(1, "Busy"), (2, None)] == [(attempt.count, attempt.error) for attempt in (busy, again)]
    assert 1 == regenerates(simulator)
    assert ["key2"] * 3 == slots(simulator)
