"""A worker whose lease ends in the middle of a pass: it writes nothing more, whoever took the account over."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from simulator.client import ControlClient
from tests.functions import leases
from tests.functions.estate import estate
from tests.functions.harness import App
from tests.functions.host import Listener, Queues
from tests.functions.instances import instance, invoked, renewing, shorten_leases
from tests.functions.relay import relay
from tests.seeing import always_open, publishes, regenerates, slots, told, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in its pass a worker is held up: requests are carried out, but their answers do not arrive."""

    requests: dict[str, Any]
    held: int
    """How many answers do not arrive."""
    written: int
    """How many of the three publications it has written by then."""
    regenerates: int
    """How many keys are made in all: one that only the held up worker knows is made again."""


def read_again(secrets: str, held: int) -> dict[str, Any]:
    """The reads just before the writing; each secret was read once before, when the pass began."""
    return {"method": "GET", "path": f"/secrets/secret-{secrets}", "skip": held}


PLACES = {
    "before the regenerate": Place({"path": "/listKeys$"}, held=1, written=0, regenerates=1),
    "before it publishes": Place(read_again("[012]", 3), held=3, written=0, regenerates=2),
    "after one of three": Place(read_again("[12]", 2), held=2, written=1, regenerates=1),
    "after two of three": Place(read_again("2", 1), held=1, written=2, regenerates=1),
}


@pytest.fixture(autouse=True)
def published_three_times(app: App, simulator: ControlClient) -> None:
    """One storage account that is due, in three secrets of two vaults."""
    del app
    simulator.reset(estate(publications=3))


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_s1_a_pass_whose_account_was_taken_over_writes_nothing_more(  # noqa: PLR0913, PLR0917  fixtures
    app: App,
    simulator: ControlClient,
    work: Queues,
    listener: Listener,
    azurite: str,
    caplog: pytest.LogCaptureFixture,
    place: Place,
) -> None:
    """Its lease is broken while it waits; another worker rotates, and only then what it waited for arrives."""
    await work.put((await app.timer("sweep")).messages)
    with always_open(simulator):
        async with instance() as slow:
            await shorten_leases(slow, pause=0.2)
            stall = simulator.fault(**place.requests, when="after", stall=True, times=place.held)
            with invoked(slow):
                held_up = asyncio.create_task(listener.once())
                await until(lambda: (place.held, place.written) == (simulator.hits(stall), publishes(simulator)))
            leases.break_off(azurite)
            await until(lambda: not renewing())

            await work.put((await app.timer("sweep")).messages)
            (other,) = await listener.once()
            assert ["key2"] * 3 == slots(simulator)
            taken_over = simulator.verdict(), simulator.accounts()

            simulator.lift(stall)
            (stopped,) = await held_up
        (again,) = await listener.drain()

    assert (None, "LeaseLost", None) == (other.error, stopped.error, again.error)
    assert (stopped.text, 1, 2) == (again.text, stopped.count, again.count)
    assert taken_over == (simulator.verdict(), simulator.accounts())
    assert (place.regenerates, 3) == (regenerates(simulator), publishes(simulator))
    assert ([], []) == (await work.waiting(), await work.poisoned())
    assert ["lease-lost"] == [event["error"] for event in told(caplog, "attempt") if "error" in event]


async def test_s1_a_pass_whose_lease_ran_out_publishes_nothing(
    app: App, simulator: ControlClient, work: Queues, listener: Listener, azurite: str
) -> None:
    """It cannot renew its lease until the service gives it away; only then its regenerate is answered."""
    await work.put((await app.timer("sweep")).messages)
    with always_open(simulator):
        async with (
            relay(leases.port(azurite)) as way,
            instance(AzureWebJobsStorage=leases.reached_at(way.port, azurite)) as slow,
        ):
            await shorten_leases(slow, pause=1)
            stall = simulator.fault(path="/regenerateKey$", when="after", stall=True, times=1)
            with invoked(slow):
                held_up = asyncio.create_task(listener.once())
                await until(lambda: simulator.hits(stall) == 1)
            way.cut()
            assert leases.held(azurite)
            await until(lambda: not leases.held(azurite))
            await until(lambda: not renewing())
            simulator.lift(stall)
            (stopped,) = await held_up
            assert ["key1"] * 3 == slots(simulator)
        (again,) = await listener.drain()

    assert [("LeaseLost", 1), (None, 2)] == [(attempt.error, attempt.count) for attempt in (stopped, again)]
    assert ["key2"] * 3 == slots(simulator)
    assert (2, 3) == (regenerates(simulator), publishes(simulator))
    assert ([], []) == (await work.waiting(), await work.poisoned())
