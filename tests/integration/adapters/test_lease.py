"""Leases: on blobs of the storage emulator, and within the process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.credentials_async import AsyncTokenCredential
from azure.storage.blob.aio import BlobLeaseClient, BlobServiceClient

from rotation.clock import SystemClock
from rotation.cloud.clouds import PUBLIC
from rotation.cloud.connection import Connection, connect
from rotation.cloud.lease import BlobLeases, InProcessLeases
from rotation.errors import (
    BadSettings,
    Busy,
    Forbidden,
    LeaseLost,
    ReadOnlyLock,
    RotationError,
    Unavailable,
    Unexpected,
)
from rotation.model import AccountId, Sensitive
from rotation.ports import Leases
from rotation.settings import Container
from simulator.client import ControlClient
from tests.functions.leases import CONTAINER, port, reached_at
from tests.functions.relay import relay
from tests.proof.lease_storage import LeaseStorage, lease_storage

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000"
ONE, OTHER = (
    AccountId.parse(f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/{name}")
    for name in ("stone", "stother")
)
SAME = AccountId.parse(str(ONE).upper())

PASSES = 8
SECONDS, PAUSE = 15, 0.2
"""The shortest lease there is, renewed often, so that a test sees what becomes of it."""


def place(storage: str) -> Container:
    """Where leases are in the storage of a connection string."""
    return Container(Sensitive(storage), "AzureWebJobsStorage", CONTAINER)


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    """A connection that the emulator's clients use too."""
    async with connect(PUBLIC, None, SystemClock()) as opened:
        yield opened


@pytest.fixture
async def blobs(azurite: str) -> AsyncIterator[BlobServiceClient]:
    """Another client of the emulator, which plays the other pass, or the operator; it starts without a container."""
    async with BlobServiceClient.from_connection_string(azurite) as service:
        async for container in service.list_containers():
            await service.delete_container(container.name)
        yield service


@pytest.fixture
def on_blobs(azurite: str, blobs: BlobServiceClient, connection: Connection) -> BlobLeases:  # noqa: ARG001  empties it
    """Leases in a container that does not exist yet."""
    return BlobLeases(place(azurite), connection, seconds=SECONDS, pause=PAUSE)


@pytest.fixture
def storage(simulator: ControlClient, azurite: str) -> Iterator[LeaseStorage]:
    """The emulator as the simulator passes requests on to it; it starts without a container."""
    with lease_storage(azurite) as found:
        found.forget()
        simulator.reset(found.elsewhere)
        yield found


@pytest.fixture
def watched(storage: LeaseStorage, connection: Connection) -> BlobLeases:
    """Leases there, whose requests can be answered otherwise."""
    return BlobLeases(place(storage.connection), connection, seconds=SECONDS, pause=PAUSE)


@pytest.fixture(params=["on blobs", "in process"])
def leases(request: pytest.FixtureRequest) -> Leases:
    """Both kinds."""
    if request.param == "in process":
        return InProcessLeases()
    found: BlobLeases = request.getfixturevalue("on_blobs")
    return found


async def take(leases: Leases, account: AccountId) -> None:
    """Take a lease and give it back."""
    async with leases.hold(account) as lease:
        lease.ensure()


async def test_an_account_is_held_once(leases: Leases) -> None:
    """A second pass is told at once that the account is held, however it spells it; other accounts are free."""
    async with leases.hold(ONE) as lease:
        with pytest.raises(Busy, match=r"(?i)stone"):
            await take(leases, SAME)
        await take(leases, OTHER)
        lease.ensure()
    await take(leases, ONE)


async def test_an_account_is_free_after_a_failure(leases: Leases) -> None:
    """A pass that fails does not block the next one."""
    with pytest.raises(ZeroDivisionError):
        async with leases.hold(ONE):
            _ = 1 / 0
    await take(leases, ONE)


async def test_an_account_is_free_after_a_cancellation(leases: Leases) -> None:
    """Nor does one that is stopped."""
    entered = asyncio.Event()

    async def hold_forever() -> None:
        async with leases.hold(ONE):
            entered.set()
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold_forever())
    await entered.wait()
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    await take(leases, ONE)


async def test_an_abandoned_account_stays_held(leases: Leases) -> None:
    """A pass that does not know whether its writes show keeps the next one out until the lease ends."""
    async with leases.hold(ONE) as lease:
        lease.abandon()

    with pytest.raises(Busy):
        await take(leases, ONE)
    await take(leases, OTHER)


async def test_passes_that_start_together_are_kept_apart(leases: Leases) -> None:
    """Of many, one gets the account, also while the container is being made."""
    refused = 0
    others_refused = asyncio.Event()

    async def one_pass() -> None:
        nonlocal refused
        try:
            async with leases.hold(ONE):
                await others_refused.wait()
        except Busy:
            refused += 1
            if refused == PASSES - 1:
                others_refused.set()

    await asyncio.gather(*(one_pass() for _ in range(PASSES)))

    assert PASSES - 1 == refused


async def test_a_lease_is_renewed_while_it_is_held(on_blobs: BlobLeases) -> None:
    """A pass that takes longer than the lease keeps it."""
    async with on_blobs.hold(ONE) as lease:
        ends = lease._ends
        await asyncio.sleep(3 * PAUSE)

        lease.ensure()
        assert lease._ends >= ends + PAUSE


async def test_a_broken_lease_is_noticed(on_blobs: BlobLeases, blobs: BlobServiceClient) -> None:
    """An operator who breaks a lease stops the pass before its next write."""
    async with on_blobs.hold(ONE) as lease:
        container = blobs.get_container_client(CONTAINER)
        (name,) = [blob.name async for blob in container.list_blobs()]
        assert name.startswith("stone-")
        await BlobLeaseClient(container.get_blob_client(name)).break_lease(0)
        await asyncio.sleep(2 * PAUSE)

        with pytest.raises(LeaseLost, match="stone"):
            lease.ensure()


async def test_a_lease_that_cannot_be_renewed_runs_out(
    azurite: str, blobs: BlobServiceClient, connection: Connection
) -> None:
    """Long before the service gives it away, it does not count any more: what was just sent may be slow."""
    assert not [container async for container in blobs.list_containers()]
    leases = BlobLeases(place(azurite), connection, seconds=SECONDS, pause=60)
    async with leases.hold(ONE) as lease:
        lease.ensure()
        await asyncio.sleep(SECONDS / 2)

        with pytest.raises(LeaseLost, match="stone"):
            lease.ensure()


Mend = Callable[[], None]
"""Frees the port."""


@asynccontextmanager
async def refusing(_: int) -> AsyncIterator[Mend]:
    """Nobody listens at a port."""
    yield lambda: None


@asynccontextmanager
async def silent(port: int) -> AsyncIterator[Mend]:
    """Somebody listens at a port, and never answers who came before it was freed."""
    callers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: callers.append(writer), "127.0.0.1", port)
    yield server.close
    for caller in callers:
        caller.transport.abort()
    await asyncio.sleep(0)  # what is broken off ends with the next turn of the loop


@pytest.mark.parametrize("broken", [refusing, silent])
async def test_a_lease_outlives_a_renewal_that_was_lost(
    azurite: str,
    blobs: BlobServiceClient,  # noqa: ARG001  empties it
    connection: Connection,
    broken: Callable[[int], AbstractAsyncContextManager[Mend]],
) -> None:
    """The next attempt comes soon, while the lease still counts."""
    async with relay(port(azurite)) as way:
        leases = BlobLeases(place(reached_at(way.port, azurite)), connection, seconds=SECONDS, pause=SECONDS / 4)
        async with leases.hold(ONE) as lease:
            ends = lease._ends
            way.cut()
            async with broken(way.port) as mend:
                await asyncio.sleep(SECONDS / 4 + 0.5)
                assert ends == lease._ends
                mend()
                await way.open()

                while lease._ends == ends:
                    lease.ensure()
                    await asyncio.sleep(0.1)


async def test_a_lease_counts_from_when_it_was_asked_for(
    azurite: str,
    blobs: BlobServiceClient,  # noqa: ARG001  empties it
    connection: Connection,
) -> None:
    """The service may have counted from then on, however late its answer comes; so it is with each renewal."""
    clock = asyncio.get_running_loop()
    async with relay(port(azurite)) as way:
        way.late = 0.5
        leases = BlobLeases(place(reached_at(way.port, azurite)), connection, seconds=SECONDS, pause=PAUSE)
        async with leases.hold(ONE) as lease:
            taken = lease._ends
            assert taken <= clock.time() - way.late + SECONDS
            while lease._ends == taken:  # noqa: ASYNC110  the lease tells nobody
                await asyncio.sleep(0.01)
            assert lease._ends <= clock.time() - way.late + SECONDS


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"action": "acquire", "code": "LeaseAlreadyPresent"}, Busy),
        ({"action": "acquire", "code": "ScopeLocked"}, ReadOnlyLock),
        ({"action": "", "code": "ContainerBeingDeleted"}, Unavailable),
    ],
    ids=["held", "locked", "being deleted"],
)
async def test_each_conflict_is_told_as_what_it_is(
    simulator: ControlClient, watched: BlobLeases, told: dict[str, str], expected: type[RotationError]
) -> None:
    """Another pass, a lock, and a container that can be made again in half a minute."""
    simulator.fault(method="PUT", status=409, **told)

    with pytest.raises(expected, match="stone"):
        await take(watched, ONE)


async def test_a_lease_is_ours_only_where_the_service_says_so(simulator: ControlClient, watched: BlobLeases) -> None:
    """The SDK takes over whatever the answer says, also nothing; another pass may hold it."""
    await take(watched, ONE)
    simulator.fault(action="acquire", status=201, body="")

    with pytest.raises(Unexpected, match="does not say that the lease of stone is ours"):
        await take(watched, ONE)


async def test_a_renewal_counts_only_where_the_service_says_so(simulator: ControlClient, watched: BlobLeases) -> None:
    """What it does not say is asked again, and the lease can be given back all the same."""
    async with watched.hold(ONE) as lease:
        ends = lease._ends
        unclear = simulator.fault(action="renew", times=3, status=200, body="")
        while simulator.hits(unclear) < 3:
            assert ends == lease._ends
            await asyncio.sleep(PAUSE)
        while lease._ends == ends:  # noqa: ASYNC110  the lease tells nobody
            await asyncio.sleep(PAUSE)
    await take(watched, ONE)


@pytest.mark.parametrize("status", [404, 409, 412])
async def test_a_lease_that_the_service_disowns_is_lost_at_once(
    simulator: ControlClient, watched: BlobLeases, status: int
) -> None:
    """Its blob is gone, somebody else has it, or it has ended; no waiting shows anything else."""
    async with watched.hold(ONE) as lease:
        disowned = simulator.fault(action="renew", status=status, code="LeaseLost")
        assert await asyncio.to_thread(simulator.hits, disowned, SECONDS / 3)
        await asyncio.sleep(PAUSE)

        with pytest.raises(LeaseLost, match="stone"):
            lease.ensure()
        lease.abandon()


class Failing:
    """Signs in with tokens that end soon, so that each request has one of its own, and fails when told to."""

    def __init__(self, tokens: AsyncTokenCredential) -> None:
        self._tokens = tokens
        self.failures: list[Callable[[], Awaitable[object]]] = []

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Fail, or give a token."""
        if self.failures:
            await self.failures.pop()()
        token = await self._tokens.get_token(*scopes, **options)
        return AccessToken(token.token, int(SystemClock().now().timestamp()) + 60)


async def garble() -> None:
    """Fail as the SDK does where it did not foresee an answer."""
    raise ValueError("soon")


async def hang() -> None:
    """Never answer."""
    await asyncio.Event().wait()


@pytest.mark.parametrize("failure", [garble, hang])
async def test_a_lease_outlives_a_token_that_was_not_to_be_had(
    storage: LeaseStorage, connection: Connection, failure: Callable[[], Awaitable[object]]
) -> None:
    """For the next renewal it is asked again, while the lease still counts; and nobody waits to give it back."""
    tokens = Failing(connection.credential)
    there = Container(Sensitive(storage.url), "ROTATION_LEASES")
    signed_in = replace(connection, credential=tokens)  # type: ignore[arg-type]  # it lacks what `async with` needs
    held = BlobLeases(there, signed_in, seconds=SECONDS, pause=PAUSE).hold(ONE)
    lease = await held.__aenter__()
    ends = lease._ends
    tokens.failures = [failure]
    while tokens.failures or lease._ends == ends:
        lease.ensure()
        await asyncio.sleep(PAUSE)
    lease.ensure()

    tokens.failures = [failure] * 2
    giving_back = asyncio.create_task(held.__aexit__(None, None, None))
    given_back, _ = await asyncio.wait({giving_back}, timeout=SECONDS / 4)
    giving_back.cancel()
    assert given_back


@pytest.mark.parametrize(
    "told",
    [{"status": 200, "body": "<"}, {"status": 500}, {"cut": True}, {"status": 412}],
    ids=["malformed", "500", "cut", "412"],
)
async def test_a_lease_that_cannot_be_given_back_spoils_nothing(
    simulator: ControlClient, watched: BlobLeases, told: dict[str, Any]
) -> None:
    """The pass is done, and the lease ends by itself; it is tried once, so that nobody waits for it."""
    fault = simulator.fault(action="release", **told)

    await take(watched, ONE)
    assert 1 == simulator.hits(fault)


async def test_a_lease_is_taken_in_its_own_storage(simulator: ControlClient, watched: BlobLeases) -> None:
    """Whoever an answer points to would hold it."""
    there = "https://kv-billing.vault.azure.net/leases/a-lease"
    simulator.fault(action="acquire", status=307, location=there)
    simulator.clear_journal()

    with pytest.raises(Unexpected, match="points elsewhere, which we do not follow"):
        await take(watched, ONE)
    assert not [entry for entry in simulator.journal() if entry["host"] in there]


async def test_who_is_not_let_in_is_told_where_to_look(
    simulator: ControlClient, storage: LeaseStorage, connection: Connection
) -> None:
    """A role, a signature, or a firewall: the service says the same of all."""
    simulator.fault(status=403, code="AuthorizationFailure")
    leases = BlobLeases(Container(Sensitive(storage.connection), "ROTATION_LEASES", CONTAINER), connection)

    with pytest.raises(Forbidden, match=r"that ROTATION_LEASES names.*; leases need Storage Blob Data Contributor"):
        await take(leases, ONE)


async def test_what_another_pass_has_made_meanwhile_is_no_conflict(
    simulator: ControlClient, watched: BlobLeases
) -> None:
    """Both find that there is no container, and both make one."""
    await take(watched, ONE)
    missing = simulator.fault(action="acquire", times=1, status=404, code="ContainerNotFound")

    await take(watched, ONE)
    assert 1 == simulator.hits(missing)


async def test_a_string_of_which_no_client_can_be_made_is_a_wrong_setting(connection: Connection) -> None:
    """Nothing was sent, so that there is no answer to complain of; and what stands there is not told."""
    leases = BlobLeases(place("BlobEndpoint=foo;SharedAccessSignature=s3cret"), connection)
    with pytest.raises(BadSettings, match=r"^AzureWebJobsStorage: ") as wrong:
        async with leases.hold(ONE):
            pass
    assert "s3cret" not in str(wrong.value)


async def test_an_emulator_that_is_gone_is_told_as_ours(connection: Connection) -> None:
    """The pass fails with one of our errors, without what the connection string holds."""
    nowhere = "DefaultEndpointsProtocol=http;AccountName=st;AccountKey=bm90IGEga2V5;BlobEndpoint=http://127.0.0.1:9/st"
    leases = BlobLeases(place(nowhere), connection)

    with pytest.raises(RotationError, match="take the lease of stone") as lost:
        await take(leases, ONE)
    assert "bm90IGEga2V5" not in str(lost.value)
