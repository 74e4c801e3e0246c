"""Whole paths: from what starts a rotation, through the real queue, to what applications read."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobServiceClient

from examples import storage_consumer
from examples.consuming import Tally, consume
from examples.rotating_client import RotatingClient
from simulator.client import ControlClient
from tests.functions import leases
from tests.functions.estate import estate
from tests.functions.events import EXPIRED, NEAR_EXPIRY, cloud_event, current_version, event_grid
from tests.functions.harness import App
from tests.functions.host import Listener, Queues
from tests.seeing import always_open, changes, regenerates, slots, told

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = {"vault": "kv-one", "secret": "secret-0"}
PATIENCE = 10.0
CONNECTION = "secret-1"
"""The publication that holds a connection string, which the example of a storage consumer reads."""


@pytest.fixture(autouse=True)
def published_three_times(app: App, simulator: ControlClient) -> None:
    """One storage account that is due, in three secrets of two vaults."""
    del app
    simulator.reset(estate(publications=3))


@contextmanager
def consumer() -> Iterator[None]:
    """An application that does requests all the time; none fails, and in the end it uses the new key."""
    stop, tally, clients = threading.Event(), Tally(), list[BlobServiceClient]()

    def connect(value: str) -> BlobServiceClient:
        clients.append(storage_consumer.connect(value))
        return clients[-1]

    def wait_until_it_has_asked(with_clients: int) -> None:
        deadline, goal = time.monotonic() + PATIENCE, tally.requests + 2
        while len(clients) < with_clients or tally.requests < goal:
            assert time.monotonic() < deadline, f"{tally}, {len(clients)} keys"
            time.sleep(0.02)

    with DefaultAzureCredential() as credential, SecretClient("https://kv-one.vault.azure.net", credential) as secrets:
        rotating = RotatingClient(secrets, CONNECTION, connect, max_age=0.2)
        thread = threading.Thread(target=consume, args=(rotating, storage_consumer.list_containers, stop, tally))
        thread.start()
        try:
            wait_until_it_has_asked(with_clients=1)
            yield
            wait_until_it_has_asked(with_clients=2)
        finally:
            stop.set()
            thread.join()
    assert 0 == tally.failures


async def test_a_due_secret_is_rotated_by_the_timer(
    app: App, simulator: ControlClient, work: Queues, listener: Listener
) -> None:
    """Sweep, one message in the real queue, one pass, every publication on the other slot; then all is quiet."""
    with consumer():
        await work.put((await app.timer("sweep")).messages)
        assert 1 == len(await work.waiting())
        (attempt,) = await listener.drain()
        again = await app.timer("sweep")

    assert None is attempt.error
    assert ["key2"] * 3 == slots(simulator)
    assert 1 == regenerates(simulator)
    assert ([], []) == (await work.waiting(), await work.poisoned())
    assert [] == again.messages


@pytest.mark.parametrize("make", [event_grid, cloud_event], ids=["event grid", "cloudevents"])
async def test_a_due_secret_is_rotated_by_an_event(
    app: App, simulator: ControlClient, work: Queues, listener: Listener, *, make: Any
) -> None:
    """One publication is about to expire; all three move."""
    with consumer():
        event = make("kv-one", "secret-0", current_version("kv-one", "secret-0"))
        await work.put((await app.event("near_expiry", event)).messages)
        await listener.drain()

    assert ["key2"] * 3 == slots(simulator)
    assert 1 == regenerates(simulator)


async def test_a_secret_that_is_rotated_over_http_may_finish_in_the_queue(
    app: App, simulator: ControlClient, work: Queues, listener: Listener
) -> None:
    """While the service does not accept the new key the caller is sent away with 202, and a message waits."""
    simulator.behave(propagation_delay=2.5)
    with consumer():
        done = await app.ordered("rotate_now", KEY)
        answer = done.answered()
        assert 202 == answer.status
        assert ["key1"] * 3 == slots(simulator)
        await work.put(done.messages)
        attempts = await listener.drain()

    assert None is attempts[-1].error
    assert ["key2"] * 3 == slots(simulator)
    assert 1 == regenerates(simulator)
    assert [] == await work.poisoned()
    assert "/api/status?vault=kv-one&secret=secret-0" == answer.headers["Location"]


async def test_five_deliveries_of_an_event_beside_the_timer_rotate_once(
    app: App, simulator: ControlClient, work: Queues, listener: Listener
) -> None:
    """Event Grid repeats itself, and a sweep runs at the same time."""
    event = event_grid("kv-one", "secret-0", current_version("kv-one", "secret-0"))
    with consumer():
        *heard, swept = await asyncio.gather(*(app.event("near_expiry", event) for _ in range(5)), app.timer("sweep"))
        assert 1 == len(swept.messages)
        await work.put(message for done in (*heard, swept) for message in done.messages)
        assert 6 == len(await work.waiting())
        await listener.drain()

    assert 1 == regenerates(simulator)
    assert ["key2"] * 3 == slots(simulator)


async def test_events_that_overtake_each_other_rotate_once(
    app: App, simulator: ControlClient, work: Queues, listener: Listener
) -> None:
    """That a publication expired is heard before that it is about to, for some of them when all is done."""
    names = [("kv-one", "secret-0"), ("kv-one", "secret-1"), ("kv-two", "secret-2")]
    versions = [(*name, current_version(*name)) for name in names]
    expired, near = ([event_grid(*spoken_of, kind) for spoken_of in versions] for kind in (EXPIRED, NEAR_EXPIRY))
    with always_open(simulator):
        for batch in ([*expired, near[2]], [near[1], near[0], *expired]):
            for event in batch:
                await work.put((await app.event("near_expiry", event)).messages)
            assert None is (await listener.drain())[-1].error

    assert 1 == regenerates(simulator)
    assert ["key2"] * 3 == slots(simulator)
    assert ([], []) == (await work.waiting(), await work.poisoned())


async def test_a_stale_event_changes_nothing(
    app: App, simulator: ControlClient, work: Queues, listener: Listener
) -> None:
    """It speaks of the version that was replaced meanwhile."""
    event = event_grid("kv-one", "secret-0", current_version("kv-one", "secret-0"))
    await app.post("rotate_now", KEY)
    simulator.clear_journal()
    await work.put((await app.event("near_expiry", event)).messages)
    (attempt,) = await listener.drain()

    assert None is attempt.error
    assert [] == changes(simulator)


async def test_what_cannot_be_read_is_parked_and_harms_nobody(
    app: App, simulator: ControlClient, work: Queues, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    """Text, an old version and a message in another encoding end in the poison queue; the good one is carried out."""
    swept = (await app.timer("sweep")).messages
    old = json.dumps({**json.loads(swept[0]), "version": 0})
    await work.put(["rotate it", old, *swept])
    await work.put_raw("not in base64")
    attempts = await listener.drain()

    assert sorted(["rotate it", old, "not in base64"]) == sorted(await work.poisoned())
    assert [] == await work.waiting()
    assert ["key2"] * 3 == slots(simulator)
    assert 3 == sum(attempt.given_up for attempt in attempts)
    failures = told(caplog, "failed")
    assert {"bad-input"} == {event["error"] for event in failures}
    complaints = {"the message is not JSON", "the message is of version 0, and this app reads version 1"}
    assert complaints == {event["message"] for event in failures}


async def test_five_transient_failures_end_in_the_poison_queue(
    app: App, simulator: ControlClient, work: Queues, listener: Listener
) -> None:
    """The service fails again and again: each attempt fails, the message is parked, nothing was changed."""
    (again,) = (await app.timer("audit")).messages
    failing = simulator.fault(path="/listKeys", status=409, code="Conflict")
    await work.put([again])
    attempts = await listener.drain()
    simulator.lift(failing)

    assert [1, 2, 3, 4, 5] == [attempt.count for attempt in attempts]
    assert {"Unavailable"} == {attempt.error for attempt in attempts}
    assert [again] == await work.poisoned()
    assert [] == changes(simulator)


@pytest.mark.parametrize("function", ["sweep", "rotate_now"])
async def test_an_account_that_is_held_to_the_end_parks_only_what_somebody_insisted_on(  # noqa: PLR0913, PLR0917  fixtures
    app: App, simulator: ControlClient, work: Queues, listener: Listener, azurite: str, function: str
) -> None:
    """Whoever holds the account does what is due; an emergency that could not be carried out must not vanish."""
    due = (await app.timer("sweep")).messages
    await app.message("rotate_account", due[0])
    with leases.all_taken(azurite):
        insisted = (await app.ordered("rotate_now", KEY, {"compromised": "active"})).messages
    simulator.clear_journal()
    messages = {"sweep": due, "rotate_now": insisted}[function]
    with leases.all_taken(azurite):
        await work.put(messages)
        attempts = await listener.drain()

    assert [1, 2, 3, 4, 5] == [attempt.count for attempt in attempts]
    assert ["Busy"] * 4 == [attempt.error for attempt in attempts[:4]]
    assert {"sweep": None, "rotate_now": "Busy"}[function] == attempts[4].error
    assert {"sweep": [], "rotate_now": insisted}[function] == await work.poisoned()
    assert [] == changes(simulator)


async def test_no_key_is_in_any_answer_message_or_log(
    app: App, simulator: ControlClient, work: Queues, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither old nor new ones, also where things go wrong in the middle."""
    simulator.fault(path="/regenerateKey", when="after", status=500, times=1)
    answers = [
        await app.get("status"),
        await app.post("rotate_now", KEY, {"compromised": "active", "grace": "PT0S"}),
        await app.get("status", deep="true"),
    ]
    messages = (await app.timer("audit")).messages
    await work.put(messages)
    attempts = await listener.drain()

    said = "\n".join([*(answer.body.decode() for answer in answers), *messages, caplog.text, repr(attempts)])
    keys = simulator.keys()
    assert len(keys) >= 4, "two of the account and two that replaced them"
    assert [] == [key for key in keys if key in said]
