"""What all Azure clients share: one pool of connections, one identity, and how long we are patient."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.policies import AsyncRetryPolicy
from azure.core.pipeline.transport import AioHttpTransport

from rotation import calls
from rotation.cloud.clouds import Cloud
from rotation.cloud.credential import open_credential
from rotation.ports import Clock

_CONNECT_SECONDS = 5
_READ_SECONDS = 20
_PROBE_READ_SECONDS = 10
_CALL_SECONDS = 45
"""After this long no further attempt is begun, so that a call gives up within about a minute."""

LONGEST_WAIT = 30.0
"""Seconds; who asks for a longer pause gets it from the queue, not from a sleeping pass."""


class Patience(AsyncRetryPolicy[Any, Any]):
    """The SDK's retries, except that nobody is kept waiting longer than `LONGEST_WAIT` by a Retry-After."""

    def __init__(self) -> None:
        super().__init__(retry_total=3, retry_backoff_max=5, timeout=_CALL_SECONDS)

    def is_retry(self, settings: dict[str, Any], response: PipelineResponse[Any, Any]) -> bool:
        """Tell whether to try again."""
        return bool(super().is_retry(settings, response)) and (self.get_retry_after(response) or 0) <= LONGEST_WAIT


@dataclass(frozen=True, slots=True)
class Connection:
    """Makes clients that own nothing: what they use is closed with the connection, so they need no closing."""

    cloud: Cloud
    clock: Clock
    credential: AsyncTokenCredential
    session: aiohttp.ClientSession

    def options(self) -> dict[str, Any]:
        """Keyword arguments for the constructor of any Azure client."""
        return {"transport": self._transport(_READ_SECONDS), "retry_policy": Patience()}

    def arm_options(self) -> dict[str, Any]:
        """The same for a client of Azure Resource Manager."""
        return {
            "base_url": self.cloud.arm,
            "credential_scopes": [self.cloud.arm_scope],
            **self.options(),
        }

    def blob_options(self) -> dict[str, Any]:
        """The same for a client of blobs, whose SDK has retries of its own kind."""
        return {"transport": self._transport(_READ_SECONDS)}

    def probe_options(self) -> dict[str, Any]:
        """The same for a client whose one request is sent once."""
        return {"transport": self._transport(_PROBE_READ_SECONDS), "retry_total": 0}

    def _transport(self, read_seconds: int) -> AioHttpTransport:
        return _transport(self.session, read_seconds)


@asynccontextmanager
async def connect(cloud: Cloud, client_id: str | None, clock: Clock) -> AsyncIterator[Connection]:
    """Hold a connection; nothing is sent before the first client asks for something."""
    async with (
        aiohttp.ClientSession(
            # As the SDK makes its own; proxies are taken from the environment.
            trust_env=True,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            middlewares=(_send_once,),
        ) as session,
        open_credential(cloud, client_id, _transport(session, _READ_SECONDS)) as credential,
    ):
        yield Connection(cloud, clock, credential, session)


def _transport(session: aiohttp.ClientSession, read_seconds: int) -> AioHttpTransport:
    return AioHttpTransport(
        session=session,
        session_owner=False,
        connection_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
    )


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a PUT again when a connection breaks; whether to is ours to decide.

    It repeats an idempotent request after these two errors only, so they leave under their parent's name.
    """
    calls.count()
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as broken:
        raise aiohttp.ClientConnectionError(str(broken)) from broken
