"""Leases that keep passes on one account apart: on blobs, or within this process."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError

from rotation.cloud.connection import Connection
from rotation.cloud.translate import inner_code, translated
from rotation.errors import Busy, LeaseLost
from rotation.model import AccountId
from rotation.settings import Container

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient, BlobLeaseClient, ContainerClient

_MARGIN = 10.0
"""Seconds before its end from which a lease does not count any more: the write that it is to protect takes time."""

_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
"""How the service says that a lease is not ours any more."""

_RETRIES = {"retry_total": 2, "initial_backoff": 1, "increment_base": 1, "random_jitter_range": 1}
"""The SDK would sleep for a quarter of a minute, a quarter of the lease."""


class BlobLeases:
    """Leases on blobs, one for each account, in one container; they hold between processes."""

    def __init__(self, container: Container, connection: Connection, *, seconds: int = 60, pause: float = 20) -> None:
        """A lease lasts for `seconds` (15 to 60) and is renewed every `pause` seconds while it is held."""
        self._container = container
        self._connection = connection
        self._seconds = seconds
        self._pause = pause

    @asynccontextmanager
    async def hold(self, account: AccountId) -> AsyncIterator["BlobLease"]:
        """Hold the account while inside; entering raises Busy when another pass has it."""
        with translated(f"take the lease of {account.name} in the storage that {self._container.setting} names"):
            lease = await self._take(account)
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
        lease = BlobLease(account, BlobLeaseClient(blob), self._seconds)
        try:
            await lease.take()
        except ResourceNotFoundError as missing:
            await self._create(blob, container_too=inner_code(missing) == "ContainerNotFound")
            await lease.take()
        return lease

    async def _create(self, blob: "BlobClient", *, container_too: bool) -> None:
        """Make what is missing; another pass may be doing the same."""
        if container_too:
            with suppress(ResourceExistsError):
                await self._client.create_container()
        with suppress(ResourceExistsError):
            await blob.upload_blob(b"")

    @cached_property
    def _client(self) -> "ContainerClient":
        from azure.storage.blob.aio import ContainerClient

        address, options = self._container.address.reveal(), self._connection.blob_options() | _RETRIES
        if self._container.name is not None:
            return ContainerClient.from_connection_string(address, self._container.name, **options)
        # A URL with a query carries its own signature.
        credential: Any = None if "?" in address else self._connection.credential
        return ContainerClient.from_container_url(address, credential, **options)


class BlobLease:
    """One lease on one blob."""

    def __init__(self, account: AccountId, lease: "BlobLeaseClient", seconds: int) -> None:
        self._account = account
        self._lease = lease
        self._seconds = seconds
        self._ends = 0.0

    def ensure(self) -> None:
        """Raise LeaseLost unless the lease is still ours."""
        if _now() > self._ends - _MARGIN:
            raise LeaseLost(f"the lease of {self._account.name} was lost, so another pass may be at work")

    async def take(self) -> None:
        """Take the lease; raises Busy when another pass has it."""
        asked = _now()
        try:
            await self._lease.acquire(self._seconds)
        except ResourceExistsError as taken:
            raise Busy(f"another pass holds {self._account.name}; it ends within minutes") from taken
        self._ends = asked + self._seconds

    async def keep(self, pause: float) -> None:
        """Renew the lease again and again until it is lost or this is cancelled."""
        while _now() < self._ends:
            await asyncio.sleep(pause)
            asked = _now()
            try:
                await self._lease.renew()
            except HttpResponseError as error:
                if error.status_code in _GONE:
                    self._ends = 0.0
            except (AzureError, OSError):
                # Out of reach for now; the lease runs on for a while.
                continue
            else:
                self._ends = asked + self._seconds

    async def give_back(self) -> None:
        """End the lease early; it ends by itself where that fails."""
        with suppress(AzureError, OSError):
            await self._lease.release()


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
        try:
            yield InProcessLease()
        finally:
            self._held.discard(account)


class InProcessLease:
    """A lease that cannot be lost."""

    def ensure(self) -> None:
        """Return, as the lease is ours."""


def _blob_name(account: AccountId) -> str:
    """A name that a person recognises, and that no other account has."""
    digest = hashlib.sha256(account.folded.encode()).hexdigest()[:16]
    return f"{account.name.lower()}-{digest}"


def _now() -> float:
    """Seconds of a clock that nobody sets: a lease runs in real time."""
    return asyncio.get_running_loop().time()
