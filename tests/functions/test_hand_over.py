"""A caller over HTTP who is sent away before the pass has ended: what was asked for is finished all the same."""

import asyncio
from urllib.parse import parse_qsl, urlsplit

import pytest

from simulator.client import ControlClient
from tests.functions.estate import estate
from tests.functions.harness import Answer, App
from tests.functions.host import Listener, Queues
from tests.functions.instances import instance, invoked
from tests.seeing import always_open, publishes, regenerates, slots, told

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = {"vault": "kv-one", "secret": "secret-0"}
IMPATIENT = 0.5
"""Seconds; production has 200, below the 230 after which the platform hangs up."""
PATIENCE = 10.0
"""Seconds in which a request has to come; the pass may be slow where the machine is busy."""


@pytest.fixture(autouse=True)
def published_three_times(app: App, simulator: ControlClient) -> None:
    """One storage account that is due, in three secrets of two vaults."""
    del app
    simulator.reset(estate(publications=3))


async def looked_up(app: App, answer: Answer) -> Answer:
    """Do what a caller does who was told where to look."""
    place = urlsplit(answer.headers["Location"])
    assert f"/api/{app.functions['status'].trigger['route']}" == place.path
    return await app.get("status", **dict(parse_qsl(place.query)))


async def test_a_pass_that_outlasts_its_caller_is_not_repeated_by_the_queue(
    app: App, simulator: ControlClient, work: Queues, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    """It goes on, its message has to wait meanwhile, and in the end there is nothing left to do for it."""
    stall = simulator.fault(path="/regenerateKey$", when="after", stall=True, times=1)
    with always_open(simulator):
        async with instance(patience=IMPATIENT) as impatient:
            with invoked(impatient):
                done = await app.ordered("rotate_now", KEY, {"force": True, "request_id": "incident-7"})
            await work.put(done.messages)
            assert 1 == await asyncio.to_thread(simulator.hits, stall, PATIENCE)
            meanwhile = await looked_up(app, done.answered())
            (early,) = await listener.once()
            simulator.lift(stall)
        (attempt,) = await listener.drain()
        afterwards = await looked_up(app, done.answered())

    assert (202, "incident-7") == (done.answered().status, done.answered().json()["request_id"])
    assert [("Busy", 1), (None, 2)] == [(tried.error, tried.count) for tried in (early, attempt)]
    assert ["key2"] * 3 == slots(simulator)
    assert (1, 3) == (regenerates(simulator), publishes(simulator))
    assert [(200, "key1"), (200, "key2")] == [
        (answer.status, answer.json()["accounts"][0]["active_slot"]) for answer in (meanwhile, afterwards)
    ]
    assert ["incident-7"] == [event["request_id"] for event in told(caplog, "handed-over")]
    assert {"incident-7"} == {event["request_id"] for event in told(caplog, "attempt")}
    assert ([], []) == (await work.waiting(), await work.poisoned())


async def test_what_a_pass_without_its_caller_could_not_finish_is_finished_by_the_queue(
    app: App, simulator: ControlClient, work: Queues, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    """The service does not accept the new key before the pass gives up; the message publishes that very key."""
    simulator.behave(propagation_delay=2.5)
    with always_open(simulator):
        async with instance(patience=IMPATIENT) as impatient:
            with invoked(impatient):
                done = await app.ordered("rotate_now", KEY)
            await work.put(done.messages)
        assert ["key1"] * 3 == slots(simulator)
        attempts = await listener.drain()
        afterwards = await looked_up(app, done.answered())

    assert 202 == done.answered().status
    assert 1 == len(told(caplog, "handed-over"))
    assert None is attempts[-1].error
    assert ["key2"] * 3 == slots(simulator)
    assert (1, 3) == (regenerates(simulator), publishes(simulator))
    assert (200, "key2") == (afterwards.status, afterwards.json()["accounts"][0]["active_slot"])
    assert ([], []) == (await work.waiting(), await work.poisoned())
