"""Applications that read a key from Key Vault, keep it as long as they may, and use it as fast as they can.

They have no second chance: a refused request is a failure, even if the vault holds a better key by now.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.secrets import KeyVaultSecret
from azure.keyvault.secrets.aio import SecretClient

from tests.proof.application import WORK, found_in

Use = Callable[[], Awaitable[object]]
"""One request with a key."""

PAUSE = 0.03
"""Seconds between two requests of one application."""


class Calendar:
    """What day it is: it changes only when nobody is in the middle of a request, so that no request takes days."""

    def __init__(self) -> None:
        self.now = timedelta()
        self._turning = False
        self._inside = 0
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[timedelta]:
        """Stay in the present for a while."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._turning)
            self._inside += 1
        try:
            yield self.now
        finally:
            async with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def turn(self, to: timedelta) -> AsyncIterator[timedelta]:
        """Wait until nobody is in the middle of anything; inside, set the clocks."""
        self._turning = True
        async with self._changed:
            await self._changed.wait_for(lambda: not self._inside)
            yield to
            self.now, self._turning = to, False
            self._changed.notify_all()


@dataclass(slots=True)
class Application:
    """One application, which reads its secret when what it has is older than `keeps`."""

    service: str
    keeps: timedelta
    read: Callable[[], Awaitable[KeyVaultSecret]]
    calendar: Calendar
    options: dict[str, Any]
    version: str = ""
    """Which version of the secret it has."""
    requests: int = 0
    readings: int = 0
    failures: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Use the account until this is cancelled."""
        use, since = None, timedelta()
        while True:
            async with self.calendar.moment() as now:
                if use is None or now - since >= self.keeps:
                    secret, since = await self.read(), now
                    use = partial(WORK[self.service], *found_in(secret.value or "", self.service), self.options)
                    self.version = secret.properties.version or ""
                    self.readings += 1
                await self._request(use, now - since)
                self.requests += 1
            await asyncio.sleep(PAUSE)

    async def _request(self, use: Use, age: timedelta) -> None:
        try:
            await use()
        except AzureError as error:
            status = getattr(error, "status_code", None)
            self.failures.append(f"{self.service} said {status} to a value that was read {age} before")


@asynccontextmanager
async def applications(
    vault: str, secrets: dict[str, str], keeps: tuple[timedelta, ...], calendar: Calendar
) -> AsyncIterator[list[Application]]:
    """Applications at work, one for each secret and each time for which they keep its value."""
    async with (
        aiohttp.ClientSession(trust_env=True, auto_decompress=False) as session,
        DefaultAzureCredential() as credential,
        SecretClient(f"https://{vault}.vault.azure.net", credential) as client,
    ):
        # Nothing is tried again, and the connections are everybody's.
        options = {"transport": AioHttpTransport(session=session, session_owner=False), "retry_total": 0}
        apps = [
            Application(service, kept, partial(client.get_secret, name), calendar, options)
            for service, name in secrets.items()
            for kept in keeps
        ]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(app.run()) for app in apps]
            yield apps
            for task in tasks:
                task.cancel()
