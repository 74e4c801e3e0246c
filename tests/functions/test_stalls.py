"""Azure takes a request and never answers: no pass waits for long, and the queue brings its message again."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from inspect import signature
from typing import Any

import pytest

from rotation.clock import SystemClock
from rotation.cloud import connection, lease, patience
from rotation.providers import _settle
from rotation.triggers import PATIENCE
from simulator.client import ControlClient
from tests.functions import leases
from tests.functions.estate import estate
from tests.functions.fresh import ROOT
from tests.functions.harness import App
from tests.functions.host import Listener, Queues
from tests.functions.instances import instance, invoked
from tests.integration.adapters.hasty import Hasty
from tests.seeing import always_open, changes, slots

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLATFORM = timedelta(seconds=230)
"""After which a caller over HTTP is hung up on, whatever host.json says."""

REGENERATE, PUBLISH = CHANGES = ({"path": "/regenerateKey$"}, {"method": "PUT", "path": "/secrets/"})
"""Requests that may take effect after the pass has given them up."""
STALLS: dict[str, tuple[dict[str, Any], str]] = {
    "the first token": ({"path": "/msi/token"}, "Unavailable"),
    "a token, after another one": ({"path": "/msi/token", "skip": 1}, "Unavailable"),
    "the listing of a vault": ({"host": "^kv-one", "path": "^/secrets/?$"}, "Unavailable"),
    "a secret": ({"method": "GET", "path": "/secrets/secret-"}, "Unavailable"),
    "the account": ({"method": "GET", "path": "/storageAccounts/stone$"}, "Unavailable"),
    "the keys": ({"path": "/listKeys$"}, "Unavailable"),
    "the regenerate": (REGENERATE, "Unavailable"),
    "a trial of the new key": ({"host": "^stone[.]blob", "skip": 1}, "Staged"),
    "a publication": (PUBLISH, "Unavailable"),
}
"""Which requests are not answered, and what the pass fails with."""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of patience for each answer; who waited by another measure would be here for minutes."""
    for name in ("_READ_SECONDS", "_PROBE_READ_SECONDS"):
        monkeypatch.setattr(connection, name, 1)
    monkeypatch.setattr(patience, "_CALL_SECONDS", 1)
    monkeypatch.setattr(_settle, "_READ_SECONDS", 1)


@pytest.fixture(autouse=True)
def published_three_times(app: App, simulator: ControlClient) -> None:
    """One storage account that is due, in three secrets of two vaults."""
    del app
    simulator.reset(estate(publications=3))


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(("stall", "error"), STALLS.values(), ids=STALLS)
async def test_a_pass_that_gets_no_answer_is_tried_again(  # noqa: PLR0913, PLR0917  fixtures
    app: App,
    simulator: ControlClient,
    work: Queues,
    listener: Listener,
    azurite: str,
    stall: dict[str, Any],
    error: str,
) -> None:
    """It fails as one that waiting helps, and the next delivery finishes it with a single new key.

    Where nobody knows what was changed, the account is left alone before, until the lease runs out.
    """
    await work.put((await app.timer("sweep")).messages)
    with always_open(simulator):
        fault = simulator.fault(**stall, stall=True)
        # The waits between attempts are our own and take no time here, but for those that would outlast the lease:
        # a clock that jumps so far is that of a machine that was suspended.
        in_doubt = stall in CHANGES
        clock = SystemClock() if in_doubt else Hasty()
        async with instance(clock, ROTATION_PROBE="required") as hasty:
            with invoked(hasty):
                (failed,) = await listener.once()
        assert simulator.hits(fault)
        simulator.lift(fault)
        if in_doubt:
            assert leases.held(azurite)
            leases.break_off(azurite)  # as time does within a minute
        (again,) = await listener.drain()

    assert [(error, 1), (None, 2)] == [(attempt.error, attempt.count) for attempt in (failed, again)]
    assert ["key2"] * 3 == slots(simulator)
    assert 1 == simulator.account("stone")["slots"]["key2"]["regenerated"]


@pytest.mark.usefixtures("hurried")
async def test_a_pass_that_gets_no_lease_is_tried_again(
    app: App, simulator: ControlClient, work: Queues, listener: Listener, azurite: str
) -> None:
    """Without it nothing is changed."""
    await work.put((await app.timer("sweep")).messages)
    async with silent() as port, instance(AzureWebJobsStorage=leases.reached_at(port, azurite)) as alone:
        with invoked(alone):
            (failed,) = await listener.once()
    assert [] == changes(simulator)
    (again,) = await listener.drain()

    assert [("Unavailable", 1), (None, 2)] == [(attempt.error, attempt.count) for attempt in (failed, again)]
    assert ["key2"] * 3 == slots(simulator)


async def test_each_patience_fits_into_the_next() -> None:
    """One answer, one call with its repetitions, a caller over HTTP, the platform, and an invocation."""
    call = patience._CALL_SECONDS + connection._READ_SECONDS
    regenerate = _settle._READ_SECONDS
    leasing = (1 + lease._RETRIES["retry_total"]) * connection._READ_SECONDS
    hours, minutes, seconds = map(int, json.loads((ROOT / "host.json").read_text())["functionTimeout"].split(":"))
    invocation = timedelta(hours=hours, minutes=minutes, seconds=seconds)

    assert max(connection._PROBE_READ_SECONDS, call, regenerate, leasing) < PATIENCE
    assert timedelta(seconds=PATIENCE) < PLATFORM < invocation
    # What is sent while a lease counts leaves in the first third of the half for which it goes on.
    assert 3 * connection._CONNECT_SECONDS <= signature(lease.BlobLeases).parameters["seconds"].default / 2


@asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """A port that takes connections and never answers."""
    gone = asyncio.Event()

    async def wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    async with await asyncio.start_server(wait, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        gone.set()
