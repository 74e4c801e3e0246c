"""Leases that keep passes on one account apart: on blobs, or within this process."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from rotation.cloud.connection import Connection
from rotation.cloud.translate import inner_code, translated
from rotation.errors import BadSettings, Busy, Forbidden, LeaseLost, Unexpected
from rotation.model import AccountId
from rotation.ports import Clock
from rotation.settings import Container

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient, BlobLeaseClient, ContainerClient

_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
"""How the service says that a lease is not ours any more."""

_WAY_IN = (
    "leases need Storage Blob Data Contributor there, or the account's key, or a shared access signature that lasts "
    "and may write, and a firewall that lets us in"
)

_RETRIES = {"retry_total": 2, "initial_backoff": 1, "increment_base": 1, "random_jitter_range": 1}
"""The SDK would sleep for a quarter of a minute, a quarter of the lease."""


class BlobLeases:
    """Leases on blobs, one for each account, in one container; they hold between processes."""

    def __init__(self, container: Container, connection: Connection, *, seconds: int = 60, pause: float = 15) -> None:
        """A lease lasts for `seconds` (15 to 60) and is renewed every `pause` seconds while it is held.

        It counts for half as long as it lasts: what is sent just before then may take effect late.
        """
        self._container = container
        self._connection = connection
        self._seconds = seconds
        self._pause = pause

    @asynccontextmanager
    async def hold(self, account: AccountId) -> AsyncIterator["BlobLease"]:
        """Hold the account while inside; entering raises Busy when another pass has it."""
        try:
            with translated(f"take the lease of {account.name} in the storage that {self._container.setting} names"):
                lease = await self._take(account)
        except Forbidden as denied:
            raise Forbidden(f"{denied}; {_WAY_IN}") from denied
        renewing = asyncio.create_task(lease.keep(self._pause))
        try:
            yield lease
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
            await lease.give_back()

    async def _take(self, account: AccountId) -> "BlobLease":
        from azure.storage.blob.aio import BlobLeaseClient

        blob = self._client.get_blob_client(_blob_name(account))
        # The id of the lease is chosen here, so that the SDK may repeat a request whose answer was lost.
        lease = BlobLease(account, BlobLeaseClient(blob), self._seconds, self._connection.clock)
        try:
            await lease.take()
        except ResourceNotFoundError as missing:
            await self._create(blob, container_too=inner_code(missing) == "ContainerNotFound")
            await lease.take()
        return lease

    async def _create(self, blob: "BlobClient", *, container_too: bool) -> None:
        """Make what is missing; another pass may be doing the same."""
        if container_too:
            with _made_meanwhile():
                await self._client.create_container()
        with _made_meanwhile():
            await blob.upload_blob(b"")

    @cached_property
    def _client(self) -> "ContainerClient":
        from azure.storage.blob.aio import ContainerClient

        address, options = self._container.address.reveal(), self._connection.blob_options() | _RETRIES
        if self._container.name is not None:
            try:
                return ContainerClient.from_connection_string(address, self._container.name, **options)
            except ValueError:
                raise BadSettings(f"{self._container.setting}: the SDK can make nothing of this string") from None
        # A URL with a query carries its own signature.
        credential: Any = None if "?" in address else self._connection.credential
        return ContainerClient.from_container_url(address, credential, **options)


class BlobLease:
    """One lease on one blob.

    Two clocks tell how long it lasts, and it has ended when either says so: the event loop's stands still while the
    machine sleeps, and the one on the wall can be set back.
    """

    def __init__(self, account: AccountId, lease: "BlobLeaseClient", seconds: int, clock: Clock) -> None:
        self._account = account
        self._lease = lease
        self._id = lease.id
        self._seconds = seconds
        self._clock = clock
        self._ends = 0.0
        self._ends_at = datetime.min.replace(tzinfo=UTC)
        self._abandoned = False

    def ensure(self) -> None:
        """Raise LeaseLost unless the lease is still ours."""
        if self._left() < self._seconds / 2:
            raise LeaseLost(f"the lease of {self._account.name} was lost, so another pass may be at work")

    def abandon(self) -> None:
        """Let the lease run out by itself instead of giving it back at the end."""
        self._abandoned = True

    async def take(self) -> None:
        """Take the lease; raises Busy when another pass has it."""
        asked = self._now()
        try:
            await self._lease.acquire(self._seconds)
        except ResourceExistsError as conflict:
            if not inner_code(conflict).startswith("Lease"):
                raise
            raise Busy(f"another pass holds {self._account.name}; it ends within minutes") from conflict
        self._confirm()
        self._begin(*asked)

    async def keep(self, pause: float) -> None:
        """Renew the lease again and again until it is lost or this is cancelled."""
        soon, wait = self._seconds / 12, pause
        while self._left() > 0:
            await asyncio.sleep(wait)
            asked = self._now()
            wait = min(soon, pause)
            try:
                # Not again and again by the SDK: a later request of ours says better from when on the lease counts.
                async with asyncio.timeout(soon):
                    await self._lease.renew(retry_total=0)
                self._confirm()
            except HttpResponseError as error:
                if error.status_code in _GONE:
                    self._ends = 0.0
            except Exception:  # noqa: BLE001, S112  the SDK does not foresee every answer, and the lease runs on for a while
                continue
            else:
                self._begin(*asked)
                wait = pause

    async def give_back(self) -> None:
        """End the lease early, unless it was abandoned; it ends by itself where that fails."""
        if self._abandoned:
            return
        # Whatever comes of it: the pass is done, and nobody waits for longer than for a renewal.
        with suppress(Exception):
            async with asyncio.timeout(self._seconds / 12):
                await self._lease.release(retry_total=0)

    def _confirm(self) -> None:
        """Raise Unexpected unless the answer names our lease: the SDK takes over whatever it says, also nothing."""
        told, self._lease.id = self._lease.id, self._id
        if told != self._id:
            raise Unexpected(f"the storage does not say that the lease of {self._account.name} is ours")

    def _begin(self, loop_time: float, time: datetime) -> None:
        self._ends = loop_time + self._seconds
        self._ends_at = time + timedelta(seconds=self._seconds)

    def _left(self) -> float:
        loop_time, time = self._now()
        return min(self._ends - loop_time, (self._ends_at - time).total_seconds())

    def _now(self) -> tuple[float, datetime]:
        return asyncio.get_running_loop().time(), self._clock.now()


class InProcessLeases:
    """Leases that only this process knows of."""

    def __init__(self) -> None:
        self._held: set[AccountId] = set()

    @asynccontextmanager
    async def hold(self, account: AccountId) -> AsyncIterator["InProcessLease"]:
        """Hold the account while inside; entering raises Busy when another pass has it."""
        if account in self._held:
            raise Busy(f"another pass holds {account.name}")
        self._held.add(account)
        lease = InProcessLease()
        try:
            yield lease
        finally:
            if lease.left:
                asyncio.get_running_loop().call_later(lease.left, self._held.discard, account)
            else:
                self._held.discard(account)


class InProcessLease:
    """A lease that cannot be lost."""

    def __init__(self) -> None:
        self.left = 0.0
        """Seconds that it goes on to keep others out once its pass has ended."""

    def ensure(self) -> None:
        """Return, as the lease is ours."""

    def abandon(self) -> None:
        """Keep others out for as long as a lease on a blob would."""
        self.left = 60.0


@contextmanager
def _made_meanwhile() -> Iterator[None]:
    """Be content with what is there already; other conflicts are errors, as with a container that is being deleted."""
    try:
        yield
    except HttpResponseError as conflict:
        # Of a blob that somebody has made and leased meanwhile, the lease may be what is told.
        if not (inner_code(conflict).endswith("AlreadyExists") or inner_code(conflict).startswith("Lease")):
            raise


def _blob_name(account: AccountId) -> str:
    """A name that a person recognises, and that no other account has."""
    digest = hashlib.sha256(account.folded.encode()).hexdigest()[:16]
    return f"{account.name.lower()}-{digest}"
