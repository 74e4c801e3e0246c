"""The door: one port that is a proxy to Azure's host names, and plain HTTP for everything else."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import cast

from aiohttp import web

from simulator.azure import Azure
from simulator.certificates import Authority
from simulator.clock import real_time
from simulator.clouds import locate
from simulator.control import Control

CONNECT = b"CONNECT "
END_OF_HEAD = b"\r\n\r\n"
LONGEST_HEAD = 16 * 1024
HTTPS = "443"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
LARGEST_BODY = 64 * 1024 * 1024
GRACE_SECONDS = 2.0
BACKLOG = 1024


class Gate(asyncio.Protocol):
    """The first bytes of a connection: a tunnel to open, or a plain request to hand on.

    While TLS is being negotiated the gate also stands in for the HTTP protocol: the first request may arrive
    together with the end of the handshake, before there is a transport to give it to.
    """

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._early = bytearray()
        self._transport: asyncio.Transport | None = None
        self._tunnel: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """The head of a request, or a part of it, has arrived."""
        self._early += data
        if self._tunnel or self._transport is None:
            return
        if not self._early.startswith(CONNECT[: len(self._early)]):
            self._hand_over(self._transport, self._server.plain())
        elif END_OF_HEAD in self._early:
            self._transport.pause_reading()
            self._tunnel = asyncio.get_running_loop().create_task(self._open_tunnel(self._transport))
        elif len(self._early) > LONGEST_HEAD:
            self._transport.abort()

    async def _open_tunnel(self, transport: asyncio.Transport) -> None:
        head, _, rest = bytes(self._early).partition(END_OF_HEAD)
        self._early = bytearray()
        host, _, port = head.split(b" ")[1].decode("ascii", "replace").rpartition(":")
        if port != HTTPS or rest or locate(host, self._server.azure.world.cloud) is None:
            self._server.refuse(host, transport)
            return
        transport.write(ESTABLISHED)
        loop = asyncio.get_running_loop()
        try:
            secure = await loop.start_tls(transport, self, self._server.authority.context(host), server_side=True)
        except OSError:
            # The client does not trust us, or left: its own error says so.
            transport.abort()
            return
        if secure is not None:
            self._hand_over(secure, self._server.tunnelled())

    def _hand_over(self, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._early:
            protocol.data_received(bytes(self._early))


class Server:
    """One simulator, listening on one port of the loopback interface."""

    def __init__(self, azure: Azure, control: Control, authority: Authority) -> None:
        self.azure = azure
        self.authority = authority
        self._tunnelled = _http(azure.serve)
        self._plain = _http(control.serve)
        self._listener: asyncio.Server | None = None

    def tunnelled(self) -> asyncio.Protocol:
        """The protocol of a connection that came through a tunnel."""
        return self._tunnelled()

    def plain(self) -> asyncio.Protocol:
        """The protocol of any other connection."""
        return self._plain()

    async def start(self, port: int) -> int:
        """Listen; the port that was taken (0 asks for a free one)."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Gate(self), "127.0.0.1", port, backlog=BACKLOG)
        taken: int = self._listener.sockets[0].getsockname()[1]
        return taken

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        self.azure.world.faults.lift_all()
        if self._listener:
            self._listener.close()
        for server in (self._tunnelled, self._plain):
            await server.shutdown(GRACE_SECONDS)

    def refuse(self, host: str, transport: asyncio.Transport) -> None:
        """Turn down a tunnel to a host that is not played here, and write it down."""
        self.azure.world.journal.refuse(real_time(), "CONNECT", host)
        text = f"{host} is not simulated\n".encode()
        transport.write(
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nConnection: close\r\n"
            + f"Content-Length: {len(text)}\r\n\r\n".encode()
            + text
        )
        transport.close()


def _http(handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> web.Server:
    async def serve(asked: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handler(asked)
        except ConnectionError:
            # Who goes in the middle of a request, as a client that is interrupted, is no defect to be logged.
            return web.Response()

    request = partial(web.BaseRequest, loop=asyncio.get_running_loop(), client_max_size=LARGEST_BODY)
    return web.Server(serve, access_log=None, request_factory=request)
