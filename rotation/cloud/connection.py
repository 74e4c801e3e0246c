"""What all Azure clients share: one pool of connections, one identity, and how long we are patient."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.connector import Connection as Connected
from aiohttp.tracing import Trace
from azure.core.credentials_async import AsyncTokenCredential

from rotation import calls
from rotation.cloud.clouds import Cloud
from rotation.cloud.credential import open_credential
from rotation.cloud.pace import Paces
from rotation.cloud.patience import PacedPatience
from rotation.cloud.transport import PacedTransport, PartingTransport, Transport, ensure_leave
from rotation.errors import LeaseLost
from rotation.ports import Clock

_READ_SECONDS = 20
_CONNECT_SECONDS = 10.0
"""Until there is a connection, with name, proxy and all."""
_PROBE_READ_SECONDS = 10
_HERE: Mapping[str, Any] = {"permit_redirects": False}
"""The SDKs would follow an answer to any host, with keys and all, and take what is said there for what was asked."""
_GOODBYE_SECONDS, _LOOK_SECONDS = 2.0, 0.01


@dataclass(frozen=True, slots=True)
class Connection:
    """Makes clients that own nothing: what they use is closed with the connection, so they need no closing."""

    cloud: Cloud
    clock: Clock
    credential: AsyncTokenCredential
    session: aiohttp.ClientSession
    paces: Paces = field(default_factory=Paces)

    def options(self, url: str) -> dict[str, Any]:
        """Keyword arguments for the constructor of the Azure client of what is at this URL."""
        transport = PacedTransport(self.session, _READ_SECONDS, url, self.paces, self.clock)
        return {"transport": transport, "retry_policy": PacedPatience(), **_HERE}

    def arm_options(self) -> dict[str, Any]:
        """The same for a client of Azure Resource Manager."""
        return {
            "base_url": self.cloud.arm,
            "credential_scopes": [self.cloud.arm_scope],
            **self.options(self.cloud.arm),
        }

    def blob_options(self) -> dict[str, Any]:
        """The same for a client of blobs, whose SDK has retries of its own kind."""
        return {"transport": Transport(self.session, _READ_SECONDS), **_HERE}

    def probe_options(self) -> dict[str, Any]:
        """The same for a client whose one request is sent once."""
        return {"transport": PartingTransport(self.session, _PROBE_READ_SECONDS), "retry_total": 0, **_HERE}


@asynccontextmanager
async def connect(cloud: Cloud, client_id: str | None, clock: Clock) -> AsyncIterator[Connection]:
    """Hold a connection; nothing is sent before the first client asks for something."""
    async with (
        aclosing(_Sockets()) as sockets,
        aiohttp.ClientSession(
            # As the SDK makes its own. There are as many connections as passes need, which are counted elsewhere.
            connector=_Connector(limit=0, socket_factory=sockets.make),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            middlewares=(_send_once,),
        ) as session,
        open_credential(cloud, client_id, Transport(session, _READ_SECONDS)) as credential,
    ):
        yield Connection(cloud, clock, credential, session)


class _Connector(aiohttp.TCPConnector):
    """Makes connections, and not for ever: of the way there the SDK bounds only its last part.

    A request leaves once it has one, so its lease is looked at here: to sign in, to wait for its turn and to connect
    took time, and a machine that was suspended meanwhile does not know how much.
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's own
    ) -> Connected:
        """Return a connection for a request; raises TimeoutError, and LeaseLost."""
        async with asyncio.timeout(_CONNECT_SECONDS):
            connected = await super().connect(req, traces, timeout)
        try:
            ensure_leave()
        except LeaseLost:
            connected.release()
            raise
        return connected


class _Sockets:
    """The sockets of a session: over TLS one is closed with an answer of the other side, which no session awaits."""

    def __init__(self) -> None:
        self._made: WeakSet[socket.socket] = WeakSet()

    def make(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Make a socket for an address."""
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._made.add(made)
        return made

    async def aclose(self) -> None:
        """Wait until all of them are closed, or the others are too slow to part."""
        looks = int(_GOODBYE_SECONDS / _LOOK_SECONDS)
        while any(made.fileno() >= 0 for made in self._made) and looks:
            await asyncio.sleep(_LOOK_SECONDS)
            looks -= 1


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
